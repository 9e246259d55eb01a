import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../protocol/sketch/byte-reader.ts';
import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import {
  DEFAULT_WINDOW_LIMITS,
  decodeWindow,
  encodeWindow,
  KEPT_FORMAT,
  WIRE_FORMAT,
} from '../../../protocol/sketch/codec.ts';
import { readCounts, writeCounts } from '../../../protocol/sketch/counts-codec.ts';
import { crc32 } from '../../../protocol/sketch/crc32.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { emptyWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { encodeFormat1 } from './older-format.ts';
import { sealed } from './sealed.ts';
import { anyRows, exactPart, momentError, type Row, windowOf } from './windows.ts';

function kindOf(bytes: Uint8Array): string {
  try {
    decodeWindow(bytes);
  } catch (error) {
    if (error instanceof SketchError) return error.kind;
    throw error;
  }
  return 'accepted';
}

const SAMPLE_WINDOW = windowOf([
  { x: 0, text: 'a', code: 1, score: 0.1, latencyUs: 300 },
  { x: -3.5, text: null, code: 7, score: 0.9, latencyUs: 310 },
  { x: NaN, text: 'd', code: 2, score: 0.4, latencyUs: 4e5 },
]);
const FORMATS = [KEPT_FORMAT, WIRE_FORMAT] as const;

describe('format 3', () => {
  it('gives back counts and moments exactly, sums within 2^-11 σ + 2^-14 σ a value', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const window = windowOf(rows);
        const decoded = decodeWindow(encodeWindow(window, KEPT_FORMAT));
        expect(exactPart(decoded)).toEqual(exactPart(window));
        expect(decoded.latency.sumUs).toBe(window.latency.sumUs);
        for (const [k, feature] of window.features.entries()) {
          const other = decoded.features[k];
          if (feature.kind !== 'numeric' || other.kind !== 'numeric') continue;
          expect(other.moments).toEqual(feature.moments);
          const { count, m2, min, max } = feature.moments;
          const errors = feature.sums.map((sum, bin) => Math.abs(sum - other.sums[bin]));
          const error = errors.reduce((total, each) => total + each, 0) / Math.max(1, count);
          // Below 1e-160 a deviation squared underflows, and σ with it.
          const rounding = count > 0 ? 1e-13 * Math.max(-min, max) + 1e-160 : 0;
          expect(error).toBeLessThanOrEqual(
            1.001 * (2 ** -11 + 2 ** -14) * Math.sqrt(m2 / (count || 1)) + rounding,
          );
        }
      }),
    );
  });

  it('takes at most 220 bytes for a busy numeric feature of 32 bins', () => {
    const reference = Float64Array.from({ length: 20_000 }, (_, k) => Math.sin(k) * 1e6 + k);
    const grid = { kind: 'numeric', ...gridFromReference(reference) } as const;
    const window = emptyWindow({
      features: [grid],
      prediction: { kind: 'categorical', values: [] },
    });
    const [feature] = window.features;
    const withoutFeature = encodeWindow({ ...window, features: [] }, KEPT_FORMAT).length;
    if (feature.kind !== 'numeric') throw new Error('not numeric');
    for (let pass = 0; pass < 50; pass += 1) {
      for (const x of reference) addNumeric(feature, grid, x);
    }
    expect(feature.moments.count).toBe(1_000_000);
    expect(feature.counts).toHaveLength(34);
    expect(encodeWindow(window, KEPT_FORMAT).length - withoutFeature).toBeLessThanOrEqual(220);
  });
});

describe.each(FORMATS)('format %i', (format) => {
  const SAMPLE = encodeWindow(SAMPLE_WINDOW, format);

  it('gives back a window of many features', () => {
    const features = Array.from({ length: 400 }, (_, k) => windowOf(row(k)).features).flat();
    const window = { ...windowOf([]), features };
    const bytes = encodeWindow(window, format);
    expect(bytes.length).toBeGreaterThan(10_000);
    expect(exactPart(decodeWindow(bytes))).toEqual(exactPart(window));
  });

  it('refuses every changed byte', () => {
    for (let at = 0; at < SAMPLE.length; at += 1) {
      for (let flip = 1; flip < 256; flip += 1) {
        const bytes = SAMPLE.slice();
        bytes[at] ^= flip;
        expect(kindOf(bytes)).toMatch(/format|version|checksum/);
      }
    }
  });

  it('refuses every truncation and anything after the end', () => {
    for (let length = 0; length < SAMPLE.length; length += 1) {
      expect(kindOf(SAMPLE.subarray(0, length))).toMatch(/truncated|checksum/);
    }
    expect(kindOf(Uint8Array.of(...SAMPLE, 0))).toBe('checksum');
    expect(kindOf(sealed(Uint8Array.of(...SAMPLE.subarray(4, -4), 0), format))).toBe('format');
    expect(kindOf(sealed(SAMPLE.subarray(4, -5), format))).toBe('truncated');
  });

  it('throws nothing but SketchError on any bytes behind a valid checksum', () => {
    const damaged = fc
      .array(fc.tuple(fc.nat(SAMPLE.length - 9), fc.nat(255)), { maxLength: 4 })
      .map((changes) => {
        const body = SAMPLE.slice(4, -4);
        for (const [at, byte] of changes) body[at] = byte;
        return body;
      });
    const anyBody = fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged);
    fc.assert(
      fc.property(anyBody, (body) => {
        const bytes = sealed(body, format);
        if (kindOf(bytes) === 'accepted') expectUsable(decodeWindow(bytes));
      }),
      { numRuns: 3000 },
    );
    fc.assert(fc.property(fc.uint8Array(), (bytes) => kindOf(bytes) !== 'accepted'));
  });

  it('bounds bytes, features and cells, at the limit and one past it', () => {
    const limits = DEFAULT_WINDOW_LIMITS;
    const at = { maxBytes: SAMPLE.length, maxFeatures: 4, maxBins: 7 };
    expect(decodeWindow(SAMPLE, at).requests).toBe(3);
    for (const key of ['maxBytes', 'maxFeatures', 'maxBins'] as const) {
      expect(() => decodeWindow(SAMPLE, { ...limits, [key]: at[key] - 1 })).toThrow(/at most/);
    }
    // 2^20 features announced by four bytes; in format 3 behind an empty latency.
    const body = [0, 0, 0, 0, ...(format === 3 ? [0, 0x80, 0x10] : []), 0x80, 0x80, 0x40];
    expect(() => decodeWindow(sealed(body, format))).toThrow('1048576 features: at most 4096');
    expect(() => decodeWindow(sealed(body, format), { ...limits, maxFeatures: 2 ** 21 })).toThrow(
      '1048576 features in 0 bytes',
    );
  });

  it('does not encode counts that are no counts', () => {
    const window = windowOf([]);
    expect(() => encodeWindow({ ...window, requests: -1 }, format)).toThrow('requests -1');
    expect(() => encodeWindow({ ...window, rows: 0.5 }, format)).toThrow('rows 0.5');
    expect(() => encodeWindow({ ...window, errors: 2 ** 53 }, format)).toThrow(
      'errors 9007199254740992',
    );
    const largest = { ...window, errors: 2 ** 53 - 1 };
    expect(decodeWindow(encodeWindow(largest, format)).errors).toBe(2 ** 53 - 1);
    window.latency.count = 1;
    expect(() => encodeWindow(window, format)).toThrow('latency: 0 in buckets, count 1');
  });
});

describe('what windows are made of', () => {
  it('computes CRC-32 as the standard and as zlib do, at every length', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        // The trailer of gzip is the CRC-32 and the length of what was packed.
        expect(crc32(bytes)).toBe(gzipSync(bytes).readUInt32LE(gzipSync(bytes).length - 8));
      }),
    );
  });

  it('gives back any counts, each in one spelling, near as plain', () => {
    const most = Number.MAX_SAFE_INTEGER;
    const edge = fc.constantFrom(0, 1, 2, most, most - 1, 2 ** 52, 2 ** 52 - 1, 2 ** 52 + 1);
    const anyCounts = fc.tuple(
      fc.array(fc.oneof(edge, fc.maxSafeNat(), fc.nat(300)), { maxLength: 3 }),
      fc.array(fc.nat(300), { maxLength: 40 }),
    );
    fc.assert(
      fc.property(anyCounts, fc.constantFrom('near', 'plain'), ([large, small], code) => {
        for (const counts of [...large.map((one) => [one, ...small]), [...small, 5, ...large]]) {
          const sum = counts.reduce((total, count) => total + count, 0);
          const writer = new ByteWriter();
          expect(writeCounts(writer, Float64Array.from(counts), 'counts', code)).toBe(sum);
          const into = new Float64Array(counts.length);
          const read = () => readCounts(new ByteReader(writer.written()), into, 'counts', code);
          if (Number.isSafeInteger(sum)) expect(read()).toBe(sum);
          else expect(read).toThrow('above 2^53 - 1');
          expect([...into]).toEqual(counts);
        }
      }),
      { numRuns: 1000 },
    );
    const writer = new ByteWriter();
    for (const count of [-1, 0.5, 1.5, NaN, 2 ** 53]) {
      const counts = Float64Array.of(7, count);
      expect(() => writeCounts(writer, counts, 'c', 'near')).toThrow(`c[1] ${count}`);
    }
  });

  it('reads format 1: the same window, the means of bins in 24 bits', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const window = windowOf(rows);
        const decoded = decodeWindow(encodeFormat1(window));
        expect(exactPart(decoded)).toEqual(exactPart(window));
        expect(momentError(decoded, window)).toBeLessThan(2 ** -15);
      }),
    );
  });
});

function row(k: number): Row[] {
  return [{ x: k, text: 'b', code: 0, score: 0.5, latencyUs: k }];
}

function expectUsable(window: WindowSketch): void {
  for (const feature of [...window.features, window.prediction]) {
    if (feature.kind !== 'numeric') continue;
    expect(feature.sums.every(Number.isFinite)).toBe(true);
    expect(Number.isFinite(feature.moments.mean + feature.moments.m2)).toBe(true);
  }
}
