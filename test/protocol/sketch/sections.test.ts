import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeWindow,
  encodeWindow,
  KEPT_FORMAT,
  WIRE_FORMAT,
} from '../../../protocol/sketch/codec.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { emptyOutcome } from '../../../protocol/sketch/outcome.ts';
import { mergeWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { encodeFormat1 } from './older-format.ts';
import { sealed } from './sealed.ts';
import { anyOutcomes, emptyWatched, type OutcomeRow, watchedWindow } from './watched.ts';
import { windowOf } from './windows.ts';

function kindOf(bytes: Uint8Array): string {
  try {
    decodeWindow(bytes);
  } catch (error) {
    if (error instanceof SketchError) return error.kind;
    throw error;
  }
  return 'accepted';
}

const ROWS: OutcomeRow[] = [
  { kind: 'binary', group: 0, prediction: 0.7, label: 1, vector: [0.5, 2], score: 0.9 },
  { kind: 'binary', group: 1, prediction: 0.2, label: null, vector: [-1, NaN], score: null },
];

describe('sections of a window', () => {
  it.each(['binary', 'multiclass', 'regression'] as const)('come back as they were: %s', (kind) => {
    fc.assert(
      fc.property(anyOutcomes(kind), (rows) => {
        const window = watchedWindow(kind, rows);
        const decoded = decodeWindow(encodeWindow(window));
        const nothing = rows.length === 0;
        expect(decoded.outcome).toEqual(nothing ? null : window.outcome);
        expect(decoded.cost).toEqual(window.cost);
        expect(decoded.evaluators.map(({ name }) => name)).toEqual(nothing ? [] : ['a', 'ß']);
        if (nothing) return;
        expect(decoded.tensors[0].fourierSums).toEqual(window.tensors[0].fourierSums);
        expect(encodeWindow(decoded).length).toBe(encodeWindow(window).length);
      }),
    );
  });

  it('are left out where they are empty, and so is the difference to the first format', () => {
    const bytes = encodeWindow(emptyWatched('binary'), KEPT_FORMAT);
    const decoded = decodeWindow(bytes);
    expect(decoded).toMatchObject({ outcome: null, tensors: [], evaluators: [] });
    expect(decodeWindow(sealed(bytes.subarray(4, -4), 1))).toEqual(decoded);
  });

  it('of the first format are refused: it had none', () => {
    const cost = [4, ...price(1)];
    const first = encodeFormat1(windowOf([])).subarray(4, -4);
    const body = encodeWindow(watchedWindow('binary', ROWS)).subarray(4, -4);
    expect(() => decodeWindow(sealed([...first, ...cost], 1))).toThrow(
      /bytes after the prediction/,
    );
    expect(() => decodeWindow(sealed(body, 2))).toThrow('format 2: this build reads 1, 3 and 4');
    expect(() => decodeWindow(sealed(body, 0))).toThrow('format 0');
  });

  it('are refused with any byte changed or left out', () => {
    const bytes = encodeWindow(watchedWindow('multiclass', ROWS));
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 1; bit < 256; bit <<= 1) {
        const damaged = bytes.slice();
        damaged[at] ^= bit;
        expect(kindOf(damaged)).toMatch(/format|version|checksum/);
      }
      expect(kindOf(bytes.subarray(0, at))).toMatch(/truncated|checksum/);
    }
  });

  it('throw nothing but SketchError behind a valid checksum, and what is accepted merges', () => {
    const sample = encodeWindow(watchedWindow('regression', ROWS)).slice(4, -4);
    const start = encodeWindow(windowOf([])).length - 8;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: start, max: sample.length - 1 }), fc.nat(255)), {
          maxLength: 4,
        }),
        (changes) => {
          const body = sample.slice();
          for (const [at, byte] of changes) body[at] = byte;
          const bytes = sealed(body, WIRE_FORMAT);
          if (kindOf(bytes) !== 'accepted') return;
          const decoded = decodeWindow(bytes);
          const twice = structuredClone(decoded);
          mergeWindow(twice, decoded);
          expectFinite(twice);
          expect(kindOf(encodeWindow(decoded))).toBe('accepted');
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('a section that no encoder writes', () => {
  const HEAD = encodeWindow(windowOf([])).subarray(4, -4);
  const LATENCY = [0, 0x80, 0x10];
  const outcome = (cells: number[], bins: number[], side: number[]) => [
    1,
    0,
    ...cells,
    ...bins,
    ...side,
  ];

  it.each<[string, number[], RegExp]>([
    ['of an unknown kind', [5], /section 5 after 0/],
    ['0', [0], /section 0 after 0/],
    ['written twice', [4, ...price(1), 4, ...price(1)], /section 4 after 4/],
    ['cost that is negative', [4, ...price(-1)], /must be finite and at least 0/],
    ['cost that is nothing', [4, ...price(0)], /cost: written, but nothing/],
    ['cost that is NaN', [4, ...price(NaN)], /must be finite/],
    ['no evaluators', [3, 0], /evaluators: written, but none/],
    ['65 evaluators', [3, 65], /65 evaluators: at most 64/],
    ['an endless name', [3, 1, 0xff, 0x7f], /name: 16383 bytes, at most 256/],
    ['a name that is no text', [3, 1, 1, 0xff], /is not UTF-8/],
    ['tensors of no rows', [2, 1, 0, 0, 0, 0], /tensors: written, but empty/],
    ['17 tensors', [2, 17], /tensors: 17, at most 16/],
    ['measures past the end', [2, 1, 0, 64, 0], /measures: 256 bytes, 1 are left/],
    ['4096 Fourier sums in 1 byte', [2, 1, 1, 0, 0x80, 0x20, 0], /fourier: 4096 bytes, 1 are left/],
    ['a Fourier sum past its rows', [2, 1, 1, 0, 1, 0x82, 0x10, 0], /no 1 rows sum to 1025/],
    ['more centroids than rows', [2, 1, 1, 0, 0, 1, 2], /2 rows at centroids, 1 looked at/],
    ['a categorical measure', [2, 1, 1, 1, 1, 0, 0, 0], /is categorical, must be numeric/],
    ['513 group cells', outcome([0x81, 4], [0], [0]), /513 group cells/],
    ['257 score bins', outcome([1], [0x81, 2], [0]), /257 score bins/],
    ['66 classes', outcome([1], [0], [66]), /66 classes/],
    ['a third kind of outcome', [1, 3], /kind 3, must be 0, 1 or 2/],
    ['outcomes of nothing', [...outcome([0], [0], [0]), 0, 0, 0, ...LATENCY], /written, but empty/],
  ])('is refused: %s', (_, section, message) => {
    expect(() => decodeWindow(sealed([...HEAD, ...section], WIRE_FORMAT))).toThrow(message);
  });

  it.each([NaN, Infinity, 2 ** 1000])('is refused with a sum of scores %d', (sum) => {
    const window = watchedWindow('binary', ROWS);
    window.outcome?.groups.fill(sum, 2, 3);
    expect(() => encodeWindow(window)).toThrow('outcome: no 2 rows have scoreSum');
  });

  it('is not written: sums without rows, counts that are none, names that do not rise', () => {
    const base = windowOf([]);
    const outcome = emptyOutcome({ kind: 'binary', axes: [], scoreBins: 0, classes: [] });
    outcome.groups[2] = 0.5;
    expect(() => encodeWindow({ ...base, outcome })).toThrow('no 0 rows have scoreSum 0.5');
    const window = watchedWindow('binary', ROWS);
    const evaluators = [...window.evaluators].reverse();
    expect(() => encodeWindow({ ...base, evaluators })).toThrow('stands behind a later name');
    const tensors = structuredClone([...window.tensors]);
    tensors[0].fourierSums[0] = 0.5;
    tensors[0].fourierSums[1] = 0.25;
    expect(() => encodeWindow({ ...base, tensors })).toThrow('a whole number');
  });
});

function price(amount: number): number[] {
  return [...new Uint8Array(Float64Array.of(amount, 0, 0, 0).buffer)];
}

function expectFinite({ outcome, tensors, cost }: WindowSketch): void {
  const numbers = [
    ...(outcome?.groups ?? []),
    ...(outcome?.scores ?? []),
    ...tensors.flatMap(({ fourierSums }) => [...fourierSums]),
    ...Object.values(cost),
  ];
  expect(numbers.every(Number.isFinite)).toBe(true);
}
