import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../protocol/error.ts';
import { MAX_FEATURES } from '../../protocol/limits.ts';
import {
  checkManifestAgainstModel,
  fileOfRole,
  type Manifest,
  manifestDraftSchema,
  parseManifest,
  rowWidth,
} from '../../protocol/manifest.ts';
import { infoOf, manifestOf } from './documents.ts';

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const feature = (index: number, name = `f${index}`) => ({
  name,
  tensor: 'features',
  index,
  kind: 'numeric' as const,
});

function refusal(fields: Partial<Manifest>): string {
  try {
    checkManifestAgainstModel(manifestOf(fields), infoOf(manifestOf()));
    return 'accepted';
  } catch (error) {
    if (error instanceof ProtocolError && error.kind === 'manifest') return error.message;
    throw error;
  }
}

describe('a manifest', () => {
  it('MANIFEST-1: is read as it was written', () => {
    expect(parseManifest(encode(manifestOf()))).toEqual(manifestOf());
    expect(fileOfRole(manifestOf(), 'model')?.sizeBytes).toBe(100);
    expect(fileOfRole(manifestOf(), 'golden')).toBeNull();
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['text', new TextEncoder().encode('{'), /1 bytes is not JSON/],
    ['another schema', encode({ ...manifestOf(), schema: 2 }), /schema/],
    ['a model that is a path', encode(manifestOf({ model: '../x' })), /model: a name starts/],
    ['no files', encode(manifestOf({ files: [] })), /files/],
    ['a prototype', new TextEncoder().encode('{"__proto__":{"schema":1}}'), /schema/],
  ])('MANIFEST-1: of %s is refused', (_, bytes, message) => {
    expect(() => parseManifest(bytes)).toThrow(ProtocolError);
    expect(() => parseManifest(bytes)).toThrow(message);
  });

  it('MANIFEST-1: has at most 4096 features', () => {
    const features = (count: number) =>
      encode(manifestOf({ features: Array.from({ length: count }, (_, at) => feature(at)) }));
    expect(parseManifest(features(MAX_FEATURES)).features).toHaveLength(MAX_FEATURES);
    expect(() => parseManifest(features(MAX_FEATURES + 1))).toThrow(/features/);
  });

  it('MANIFEST-2: that fits its model is accepted', () => {
    expect(refusal({})).toBe('accepted');
    expect(refusal({ features: [feature(0), feature(9)] })).toBe('accepted');
    expect(refusal({ prediction: null })).toBe('accepted');
  });

  it('MANIFEST-2: that states other tensors is refused with both sides shown', () => {
    const inputs = [{ name: 'features', datatype: 'FP32' as const, shape: [-1, 11] }];
    expect(refusal({ inputs })).toBe(
      "the manifest's inputs do not match the model: it says features FP32[-1,11]; the model has features FP32[-1,10]",
    );
    expect(refusal({ outputs: manifestOf().outputs.slice(1) })).toContain(
      'it says probabilities FP32[-1,2]; the model has label INT64[-1], probabilities FP32[-1,2]',
    );
    expect(refusal({ inputs: [] })).toContain('it says none;');
  });

  it('MANIFEST-2: whose feature or prediction is no value of a row is refused with the bound', () => {
    expect(refusal({ features: [feature(10)] })).toBe(
      'feature "f10" is at index 10, but "features" [-1,10] has 10 values in a row (0 to 9)',
    );
    expect(refusal({ features: [{ ...feature(0), tensor: 'x' }] })).toBe(
      'feature "f0" points at input "x", but the model\'s inputs are "features"',
    );
    expect(refusal({ prediction: { tensor: 'probabilities', index: 2, kind: 'score' } })).toContain(
      'the prediction is at index 2, but "probabilities" [-1,2] has 2 values',
    );
    expect(refusal({ prediction: { tensor: 'features', index: 0, kind: 'score' } })).toContain(
      'the model\'s outputs are "label", "probabilities"',
    );
  });

  it('MANIFEST-2: that names a feature twice, or no model file, is refused', () => {
    expect(refusal({ features: [feature(0, 'a'), feature(1, 'a')] })).toBe(
      'feature "a" is listed twice',
    );
    const files = [{ ...manifestOf().files[0], role: 'golden' as const }];
    expect(refusal({ files })).toContain('no file with the role "model"');
  });
});

describe('a draft', () => {
  it('may say little, but nothing that is not known', () => {
    expect(manifestDraftSchema.safeParse({}).success).toBe(true);
    expect(manifestDraftSchema.safeParse({ prediction: null }).success).toBe(true);
    expect(manifestDraftSchema.safeParse({ feature: [] }).success).toBe(false);
  });
});

describe('the width of a row', () => {
  it.each<[number[], number | null]>([
    [[-1, 10], 10],
    [[-1], 1],
    [[], 1],
    [[1, 3, 4], 12],
    [[-1, -1], null],
  ])('of %j is %j', (shape, width) => {
    expect(rowWidth(shape)).toBe(width);
  });
});
