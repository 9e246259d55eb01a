import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distinct, REGISTERS } from '../../../protocol/sketch/cardinality.ts';
import { decodeWindow, encodeWindow } from '../../../protocol/sketch/codec.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';
import {
  addHashed,
  emptyHashed,
  type HashedSketch,
  hashedRows,
  mergeHashed,
} from '../../../protocol/sketch/hashed.ts';
import { HEAVY_COUNTERS, listed } from '../../../protocol/sketch/heavy-hitters.ts';
import { hashNumber, hashText, hashValue } from '../../../protocol/sketch/value-hash.ts';
import { emptyWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';

type Value = string | number | bigint | null;

const anyValue: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: fc.nat(400).map((k) => `id-${k}`) },
  { weight: 2, arbitrary: fc.constantFrom('', 'hot', 'hot ', 'ß') },
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 5e-324, 1, -1),
  fc.double(),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constant(null),
);
/** More different values than there are counters, so that some are forgotten. */
const anyRows = fc.array(anyValue, { maxLength: 600, size: 'max' });

function sketchOf(rows: readonly Value[]): HashedSketch {
  const sketch = emptyHashed();
  for (const value of rows) addHashed(sketch, value);
  return sketch;
}

function merged(...parts: readonly (readonly Value[])[]): HashedSketch {
  const into = emptyHashed();
  for (const part of parts) mergeHashed(into, sketchOf(part));
  return into;
}

function exactPart({ missing, counts, registers }: HashedSketch): unknown {
  return { missing, counts, registers };
}

/** c <= f <= c + (rows − Σ c) / (HEAVY_COUNTERS + 1) for every hash that occurred, kept or not. */
function expectBound(sketch: HashedSketch, rows: readonly Value[]): void {
  const truth = new Map<number, number>();
  for (const value of rows) {
    if (value === null) continue;
    truth.set(hashValue(value), (truth.get(hashValue(value)) ?? 0) + 1);
  }
  const kept = new Map(listed(sketch.heavy).map(({ hash, count }) => [hash, count]));
  expect(kept.size).toBeLessThanOrEqual(HEAVY_COUNTERS);
  const counted = [...kept.values()].reduce((sum, count) => sum + count, 0);
  const forgotten = (hashedRows(sketch) - counted) / (HEAVY_COUNTERS + 1);
  for (const hash of kept.keys()) expect(truth.has(hash)).toBe(true);
  for (const [hash, occurred] of truth) {
    const count = kept.get(hash) ?? 0;
    expect(count).toBeLessThanOrEqual(occurred);
    expect(occurred).toBeLessThanOrEqual(count + forgotten);
  }
}

function windowOf(sketch: HashedSketch): WindowSketch {
  const grids = { features: [], prediction: { kind: 'hashed' } as const };
  return { ...emptyWindow(grids), prediction: sketch };
}

describe('hashed categories', () => {
  it('of two parts merged are those of the whole: buckets and registers exactly, heavy hitters within their bound', () => {
    fc.assert(
      fc.property(anyRows, anyRows, (a, b) => {
        const both = merged(a, b);
        expect(exactPart(both)).toEqual(exactPart(sketchOf([...a, ...b])));
        expectBound(both, [...a, ...b]);
        expectBound(sketchOf([...a, ...b]), [...a, ...b]);
      }),
      { numRuns: 60 },
    );
  });

  it('merge in any order and grouping', () => {
    fc.assert(
      fc.property(anyRows, anyRows, anyRows, (a, b, c) => {
        const expected = merged(a, b, c);
        const rightFirst = sketchOf(a);
        mergeHashed(rightFirst, merged(b, c));
        for (const other of [merged(c, b, a), merged(b, a, c), rightFirst]) {
          expect(exactPart(other)).toEqual(exactPart(expected));
          expectBound(other, [...a, ...b, ...c]);
        }
        const two = [merged(a, b), merged(b, a)].map(({ heavy }) => new Set(listed(heavy)));
        expect(two[0]).toEqual(two[1]);
      }),
      { numRuns: 30 },
    );
  });

  it('come back from the wire as they were, and nothing is added by an empty one', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const sketch = sketchOf(rows);
        const decoded = decodeWindow(encodeWindow(windowOf(sketch))).prediction;
        if (decoded.kind !== 'hashed') throw new Error('is hashed');
        expect(exactPart(decoded)).toEqual(exactPart(sketch));
        expect(new Set(listed(decoded.heavy))).toEqual(new Set(listed(sketch.heavy)));
        mergeHashed(sketch, emptyHashed());
        expect(exactPart(sketch)).toEqual(exactPart(sketchOf(rows)));
      }),
      { numRuns: 40 },
    );
  });

  it('are refused with any byte changed or left out', () => {
    const bytes = encodeWindow(windowOf(sketchOf(['a', 'b', 'a', 7, null, 12n])));
    for (let at = 0; at < bytes.length; at += 1) {
      expect(() => decodeWindow(bytes.subarray(0, at))).toThrow(SketchError);
      for (const flip of [1, 2, 0x10, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[at] ^= flip;
        expect(() => decodeWindow(changed)).toThrow(SketchError);
      }
    }
  });
});

describe('the number of different values', () => {
  it('is 0 of nothing', () => {
    expect(distinct(new Uint8Array(REGISTERS))).toBe(0);
  });

  // Four standard errors of 3.3 %; at few values collisions of registers are corrected for, and less is lost.
  it.each([1, 10, 100, 1_000, 10_000, 200_000])('is within 13 %% of %i', (count) => {
    const sketch = emptyHashed();
    for (let k = 0; k < count; k += 1) addHashed(sketch, `device-${k}`);
    expect(Math.abs(distinct(sketch.registers) / count - 1)).toBeLessThan(0.13);
    const before = sketch.registers.slice();
    for (let k = 0; k < Math.min(count, 1_000); k += 1) addHashed(sketch, `device-${k}`);
    expect(sketch.registers).toEqual(before);
  });
});

/** mmh3 5.2 (Python): `mmh3.hash(s.encode('utf-16-le'), 0, signed=False)`, and of `struct.pack('<d', x)`. */
describe('hashes are MurmurHash3 x86_32', () => {
  it.each([
    ['', 0],
    ['a', 1867108634],
    ['ab', 374890698],
    ['abc', 1118836419],
    ['grüße', 2116407466],
    ['日本語 device-17', 3478277163],
  ])('text %j', (text, hash) => {
    expect(hashText(text)).toBe(hash);
  });

  it.each([
    [0, 773692376],
    [-0, 773692376],
    [1, 675489881],
    [-1.5, 1759220179],
    [1e300, 1356615349],
    [17, 2605736715],
  ])('number %d', (number, hash) => {
    expect(hashNumber(number)).toBe(hash);
  });

  it('a bigint that a number can hold is that number, and no text is', () => {
    expect(hashValue(17n)).toBe(hashValue(17));
    expect(hashValue('17')).not.toBe(hashValue(17));
    expect(hashValue(2n ** 63n)).not.toBe(hashValue(2n ** 62n));
  });
});
