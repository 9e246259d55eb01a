import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { crc32 } from '../../../protocol/sketch/crc32.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';
import {
  addQuantileBlock,
  emptyQuantiles,
  SAMPLED_VALUES,
} from '../../../protocol/sketch/quantile.ts';
import {
  decodeQuantiles,
  encodeQuantiles,
  MAX_QUANTILE_BYTES,
} from '../../../protocol/sketch/quantile-codec.ts';
import { weightedItems } from '../../../protocol/sketch/quantile-ranks.ts';
import { seededUniform } from '../statistics/seeded.ts';

function sketchOf(rows: number, k: number) {
  const sketch = emptyQuantiles(k, 5);
  addQuantileBlock(sketch, Float64Array.from({ length: rows }, seededUniform(rows + 1)));
  return sketch;
}

/** With a checksum that is right, as someone who means harm would send it. */
function resealed(bytes: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  for (const byte of bytes.subarray(0, -4)) writer.byte(byte);
  writer.uint32(crc32(writer.written()));
  return writer.written().slice();
}

describe('an encoded quantile sketch', () => {
  it('comes back as it was, and goes on as it would have', () => {
    for (const [rows, k] of [
      [0, 8],
      [1, 200],
      [5_000, 8],
      [5_001, 200],
      [SAMPLED_VALUES + 777, 64],
    ]) {
      const sketch = sketchOf(rows, k);
      const back = decodeQuantiles(encodeQuantiles(sketch));
      expect(encodeQuantiles(back)).toEqual(encodeQuantiles(sketch));
      expect(weightedItems(back)).toEqual(weightedItems(sketch));
      const more = Float64Array.from({ length: 3_000 }, seededUniform(99));
      for (const one of [sketch, back]) addQuantileBlock(one, more);
      expect(encodeQuantiles(back)).toEqual(encodeQuantiles(sketch));
    }
  });

  it('takes 8 bytes an item: about 5 kB for k = 200', () => {
    expect(encodeQuantiles(sketchOf(100_000, 200)).length).toBeLessThan(5_000);
  });

  it('is refused when any byte of it changed, or when it was cut anywhere', () => {
    const bytes = encodeQuantiles(sketchOf(2_000, 8));
    for (let at = 0; at < bytes.length; at += 1) {
      for (const flip of [1, 0x80, 0xff]) {
        const damaged = bytes.slice();
        damaged[at] ^= flip;
        expect(() => decodeQuantiles(damaged)).toThrow(SketchError);
      }
      expect(() => decodeQuantiles(bytes.subarray(0, at))).toThrow(SketchError);
    }
  });

  it('is refused, or stands for values that some sketch has, when it was forged', () => {
    const bytes = encodeQuantiles(sketchOf(300, 8));
    const change = fc.record({
      at: fc.integer({ min: 3, max: bytes.length - 5 }),
      byte: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const forged = bytes.slice();
        for (const { at, byte } of changes) forged[at] = byte;
        try {
          const sketch = decodeQuantiles(resealed(forged));
          const { values, weights } = weightedItems(sketch);
          expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(sketch.count);
          expect(values.every((x) => x >= sketch.min && x <= sketch.max)).toBe(true);
          addQuantileBlock(sketch, Float64Array.of(1, 2, 3));
        } catch (error) {
          expect(error).toBeInstanceOf(SketchError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is refused with more bytes than any has, and by its name in another format', () => {
    expect(() => decodeQuantiles(new Uint8Array(MAX_QUANTILE_BYTES + 1))).toThrow('at most');
    const bytes = encodeQuantiles(emptyQuantiles());
    expect(() => decodeQuantiles(bytes.map((byte, at) => (at === 3 ? 2 : byte)))).toThrow(
      'format 2: this build reads 1',
    );
    expect(encodeQuantiles(sketchOf(1_000_000, 8192)).length).toBeLessThan(MAX_QUANTILE_BYTES);
  });
});
