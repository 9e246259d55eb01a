import { describe, expect, it } from 'vitest';
import { fromBase64 } from '../../protocol/bytes.ts';
import { ProtocolError } from '../../protocol/error.ts';
import { MAX_PROFILE_BYTES } from '../../protocol/limits.ts';
import {
  checkProfileAgainstManifest,
  encodeProfile,
  type Profile,
  parseProfile,
  rowsOf,
  windowGrids,
} from '../../protocol/profile.ts';
import { emptyWindow, type FeatureGrid } from '../../protocol/sketch/window.ts';
import { manifestOf, profileOf } from './documents.ts';

function refusal(check: () => unknown): string {
  try {
    check();
    return 'accepted';
  } catch (error) {
    if (error instanceof ProtocolError && error.kind === 'profile') return error.message;
    throw error;
  }
}

/** The file of the profile with some of its JSON replaced. */
function fileWith(change: (file: Record<string, unknown>) => void): Uint8Array {
  const file = JSON.parse(new TextDecoder().decode(encodeProfile(profileOf(manifestOf()))));
  change(file);
  return new TextEncoder().encode(JSON.stringify(file));
}

const fileWithEdges = (edges: unknown) =>
  fileWith((file) => {
    file.features = [{ name: 'loan_to_value', grid: { kind: 'numeric', edges } }];
  });

describe('a profile', () => {
  it('PROFILE-1: comes back as it was written', () => {
    const profile = profileOf(manifestOf());
    expect(parseProfile(encodeProfile(profile))).toEqual(profile);
    const bare: Profile = { ...profile, prediction: null };
    const { features } = profile;
    const none: FeatureGrid = { kind: 'numeric', edges: new Float64Array(0) };
    const reference = emptyWindow({ features: features.map((f) => f.grid), prediction: none });
    expect(parseProfile(encodeProfile({ ...bare, reference }))).toEqual({ ...bare, reference });
  });

  it('keeps its reference in format 3, which agents of protocol 3 read too', () => {
    const file = fileWith(() => undefined);
    const { reference } = JSON.parse(new TextDecoder().decode(file)) as { reference: string };
    expect(fromBase64(reference)[3]).toBe(3);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['no JSON', Uint8Array.of(123), /is not JSON \(1 bytes\)/],
    ['another schema', fileWith((file) => Object.assign(file, { schema: 2 })), /schema/],
    ['no rows', fileWith((file) => Object.assign(file, { rows: 0 })), /rows/],
    ['edges that fall', fileWithEdges([0.8, 0.5]), /edges for "loan_to_value" that do not rise/],
    ['an edge twice', fileWithEdges([0.5, 0.5]), /do not rise/],
    ['an infinite edge', fileWithEdges([null]), /edges/],
    ['too many edges', fileWithEdges(Array.from({ length: 256 }, (_, at) => at)), /edges/],
    [
      'a reference that is not base64',
      fileWith((file) => Object.assign(file, { reference: '!' })),
      /invalid/,
    ],
    [
      'a reference that is no window',
      fileWith((file) => Object.assign(file, { reference: 'AAAA' })),
      /invalid/,
    ],
    ['a reference on other cells', fileWithEdges([0.5]), /cannot merge/],
  ])('PROFILE-1: with %s is refused', (_, bytes, message) => {
    expect(refusal(() => parseProfile(bytes))).toMatch(message);
  });

  it('PROFILE-1: is as large as the limit allows and no larger', () => {
    const padded = (size: number) => {
      const bytes = new Uint8Array(size).fill(0x20);
      bytes.set(encodeProfile(profileOf(manifestOf())));
      return bytes;
    };
    expect(refusal(() => parseProfile(padded(MAX_PROFILE_BYTES)))).toBe('accepted');
    expect(refusal(() => parseProfile(padded(MAX_PROFILE_BYTES + 1)))).toContain(
      `has ${MAX_PROFILE_BYTES + 1} bytes, at most ${MAX_PROFILE_BYTES}`,
    );
  });

  it('PROFILE-2: describes the features of its manifest, in order and kind', () => {
    const manifest = manifestOf();
    const profile = profileOf(manifest);
    const check = (changed: typeof manifest) =>
      refusal(() => checkProfileAgainstManifest(profile, changed));
    expect(check(manifest)).toBe('accepted');
    expect(check({ ...manifest, features: manifest.features.toReversed() })).toContain(
      'it describes loan_to_value (numeric), score_class (categorical); the manifest has score_class (categorical), loan_to_value (numeric)',
    );
    expect(check({ ...manifest, features: manifest.features.slice(1) })).toContain(
      'does not match',
    );
    expect(check({ ...manifest, prediction: null })).toContain('whether there is a prediction');
  });

  it('PROFILE-2: is told apart from one whose feature names read alike when joined', () => {
    const manifest = manifestOf();
    const [first] = manifest.features;
    const joined = {
      ...first,
      name: 'loan_to_value (numeric), score_class',
      kind: 'categorical' as const,
    };
    expect(
      refusal(() =>
        checkProfileAgainstManifest(profileOf(manifest), { ...manifest, features: [joined] }),
      ),
    ).toContain('does not match');
  });
});

describe('the grids of a version', () => {
  it('PROFILE-3: lay any two versions’ scores on the same 64 cells', () => {
    const manifest = manifestOf();
    const bare = windowGrids(manifest, null);
    expect(bare.prediction).toEqual(windowGrids(manifest, profileOf(manifest)).prediction);
    expect(bare.prediction).toMatchObject({ kind: 'numeric' });
    expect(emptyWindow(bare).prediction.counts).toHaveLength(64);
  });

  it('are the profile’s, and bare where there is none', () => {
    const manifest = manifestOf();
    const profile = profileOf(manifest);
    expect(windowGrids(manifest, profile).features).toEqual(profile.features.map((f) => f.grid));
    expect(windowGrids(manifest, null).features.map((grid) => grid.kind)).toEqual([
      'numeric',
      'categorical',
    ]);
  });
});

describe('the rows of a request', () => {
  it('are the first dimension of the watched tensor', () => {
    expect(rowsOf(manifestOf(), new Map([['features', [7, 10]]]))).toBe(7);
    expect(rowsOf(manifestOf({ features: [], inputs: [] }), new Map())).toBe(1);
    const scalar = [{ name: 'x', datatype: 'FP32' as const, shape: [] }];
    expect(rowsOf(manifestOf({ features: [], inputs: scalar }), new Map([['x', []]]))).toBe(1);
  });
});
