import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BitWriter } from '../../../protocol/sketch/bit-writer.ts';
import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { decodeWindow, encodeWindow, WIRE_FORMAT } from '../../../protocol/sketch/codec.ts';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { emptyWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { sealed } from './sealed.ts';
import { anyRows, exactPart, windowOf } from './windows.ts';

const ALONE = { features: [], prediction: { kind: 'categorical', values: ['a', 'b'] } } as const;

/** Means of bins, moments and counts as one feature of one bin each has them. */
function numericOf(values: readonly number[], edges: readonly number[]): WindowSketch {
  const grid = { kind: 'numeric', edges: Float64Array.from(edges) } as const;
  const window = emptyWindow({ ...ALONE, features: [grid] });
  for (const feature of window.features) {
    if (feature.kind === 'numeric') for (const x of values) addNumeric(feature, grid, x);
  }
  return window;
}

describe('format 4', () => {
  it('gives back counts, min and max exactly, and what is rounded as near as it says', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const window = windowOf(rows);
        const decoded = decodeWindow(encodeWindow(window));
        expect(exactPart(decoded)).toEqual(exactPart(window));
        expect(decoded.latency.sumUs).toBe(window.latency.sumUs);
        for (const [k, feature] of window.features.entries()) {
          const other = decoded.features[k];
          if (feature.kind !== 'numeric' || other.kind !== 'numeric') continue;
          const { count, mean, m2, min, max } = feature.moments;
          if (count === 0) continue;
          const rounding = 1e-13 * Math.max(-min, max) + 1e-160;
          const sigma = Math.sqrt(m2 / count);
          expect(Math.abs(other.moments.mean - mean)).toBeLessThanOrEqual(
            2 ** -32 * (max - min) + rounding,
          );
          expect(Math.abs(Math.sqrt(other.moments.m2 / count) - sigma)).toBeLessThanOrEqual(
            2 ** -24 * sigma + rounding,
          );
          const errors = feature.sums.map((sum, bin) => Math.abs(sum - other.sums[bin]));
          const error = errors.reduce((total, each) => total + each, 0) / count;
          expect(error).toBeLessThanOrEqual(1.001 * 2 ** -9 * sigma + rounding);
        }
      }),
    );
  });

  it('is written again as it was read: sums of one window and none are that window', () => {
    const anyValues = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { maxLength: 80 });
    fc.assert(
      fc.property(anyValues, (values) => {
        const once = decodeWindow(encodeWindow(numericOf(values, [-1e5, -10, 0, 5e-324, 10, 1e5])));
        expect(decodeWindow(encodeWindow(once))).toEqual(once);
      }),
    );
  });

  it('takes at most 90 bytes for a busy numeric feature of 32 bins', () => {
    const reference = Float64Array.from({ length: 20_000 }, (_, k) =>
      Math.fround(Math.sin(k) * 1e6 + k),
    );
    const { edges } = gridFromReference(reference);
    const many = Array.from({ length: 50 }, () => [...reference]).flat();
    const empty = encodeWindow(emptyWindow(ALONE)).length;
    expect(encodeWindow(numericOf(many, [...edges])).length - empty).toBeLessThanOrEqual(90);
  });

  it('keeps bins of one value on their value', () => {
    const decoded = decodeWindow(encodeWindow(numericOf([0.1, 0.1, 0.1], [0])));
    expect(decoded.features[0]).toMatchObject({
      moments: { mean: 0.1, m2: 0, min: 0.1, max: 0.1 },
      sums: Float64Array.of(0, 0.1 * 3),
    });
  });

  it('is left to format 3 from 2^29 rows on', () => {
    const window = emptyWindow(ALONE);
    const formatOf = (rows: number) => {
      window.prediction.counts[0] = rows;
      const bytes = encodeWindow({ ...window, rows, requests: 1 });
      expect(decodeWindow(bytes).prediction.counts[0]).toBe(rows);
      return bytes[3];
    };
    expect([formatOf(2 ** 29 - 1), formatOf(2 ** 29)]).toEqual([4, 3]);
    window.prediction.counts[0] = 2 ** 29;
    expect(() => encodeWindow(window)).toThrow('prediction: counts[0] 536870912');
    window.prediction.counts[0] = 0.5;
    expect(() => encodeWindow(window)).toThrow('prediction: counts[0] 0.5');
  });
});

describe('bits that no encoder writes', () => {
  /** A window of one feature and no prediction to speak of, the feature as `write` says. */
  function windowBits(write: (bits: BitWriter) => void): Uint8Array {
    const writer = new ByteWriter();
    for (const byte of [0, 0, 0, 0, 1]) writer.byte(byte);
    const bits = new BitWriter(writer);
    bits.room(100);
    write(bits);
    bits.end();
    return sealed(writer.written(), WIRE_FORMAT);
  }
  const latency = (bits: BitWriter, first = 0, end = 0) => {
    bits.put(first, 12);
    bits.put(end, 12);
  };
  /** Without any missing; `list` takes the widths and numbers as they are. */
  const feature = (kind: number, cells: number, ...list: readonly [number, number][]) => {
    return (bits: BitWriter) => {
      latency(bits);
      bits.put(kind | (cells << 4), 13);
      for (const [value, size] of list) bits.put(value, size);
    };
  };
  const prediction = (bits: BitWriter) => bits.put(1, 13);
  const numeric = (min: number, max: number, share: number) => (bits: BitWriter) => {
    feature(0, 1, [2, 4], [2, 2])(bits);
    bits.put(1, 1);
    bits.float32(min);
    bits.float32(max);
    bits.uint32(0);
    bits.float32(share);
  };

  it('stand for a window, but for the fault', () => {
    const good = windowBits((bits) => {
      feature(1, 3, [2, 4], [2, 2], [0, 2], [3, 2])(bits);
      prediction(bits);
    });
    expect([...decodeWindow(good).features[0].counts]).toEqual([2, 0, 1]);
    const values = decodeWindow(
      windowBits((bits) => {
        numeric(1, 3, 0.5)(bits);
        bits.put(0, 4);
        bits.put(0, 9);
        prediction(bits);
      }),
    ).features[0];
    expect(values).toMatchObject({ moments: { count: 2, mean: 1, m2: 2, min: 1, max: 3 } });
  });

  it.each<[string, (bits: BitWriter) => void, string]>([
    [
      'a width of a bit too many',
      feature(1, 1, [3, 4], [2, 3]),
      'fewer bits than their width of 3',
    ],
    ['two halves for 14 bits', feature(1, 1, [15, 4], [1, 15], [0, 15]), 'their width of 15'],
    ['zeros behind zeros', feature(1, 9, [0, 4], [0, 9], [0, 4], [0, 9]), 'of 9 behind zeros'],
    ['zeros past the end', feature(1, 9, [0, 4], [2, 9]), 'zeros from 0 to 24 of 9'],
    ['a count of 2^29', feature(1, 1, [15, 4], [0, 15], [2 ** 14, 15]), 'counts[0] 536870912'],
    ['a fourth kind', feature(3, 1), 'kind 3, must be 0, 1 or 2'],
    ['257 cells', feature(1, 257), '257 cells, at most 256'],
    ['missing that is none', (bits) => feature(5, 1, [0, 16], [0, 16])(bits), 'missing 0: from 1'],
    ['the largest below the smallest', numeric(3, 1, 0.5), 'no 2 values have min 3, max 1'],
    ['no smallest', numeric(NaN, 1, 0.5), 'no 2 values have min NaN'],
    ['an endless largest', numeric(1, Infinity, 0.5), 'no 2 values have min 1, max Infinity'],
    ['a σ above half the range', numeric(1, 3, 0.75), 'no 2 values have a σ of 0.75'],
    ['a σ that is none', numeric(1, 3, NaN), 'no 2 values have a σ of NaN'],
    ['latency past the last bucket', (bits) => latency(bits, 0, 2050), 'buckets 0 to 2050 of 2049'],
    ['latency that ends first', (bits) => latency(bits, 2, 1), 'buckets 2 to 1 of 2049'],
    ['nothing behind', (bits) => bits.put(0, 8), 'needs 12 bits, 8 are left'],
  ])('are refused: %s', (_, write, message) => {
    expect(() => decodeWindow(windowBits(write))).toThrow(message);
  });

  it('are refused: a last byte that is not filled with zeros, latency that begins with them', () => {
    const bytes = windowBits((bits) => {
      feature(1, 1, [1, 4], [1, 1])(bits);
      prediction(bits);
      bits.put(1, 1);
    });
    expect(() => decodeWindow(bytes)).toThrow('is not filled with zeros');
    const early = windowBits((bits) => {
      latency(bits, 0, 2);
      for (const [value, size] of [
        [1, 4],
        [0, 1],
        [1, 1],
      ] as const)
        bits.put(value, size);
      bits.float64(1);
      bits.float64(1);
    });
    expect(() => decodeWindow(early)).toThrow('buckets 0 to 2 begin or end with zeros');
  });
});
