import { SketchError } from './error.ts';

/**
 * Durations in microseconds on buckets that grow with the value: each octave [2^e, 2^(e+1)) has
 * 64 equal buckets, so a bucket's middle is within 1/128 (0.79 %) of whatever fell into it.
 * Bucket 0 holds what is below 1 µs, the last one everything from 2^32 µs (71 minutes). The
 * bucket is read off the float64's own bits: no logarithm, and the same on every platform.
 */
export interface LatencySketch {
  count: number;
  sumUs: number;
  /** Exact largest duration; 0 while empty. */
  maxUs: number;
  /** LATENCY_BUCKETS counts. Flat: 16 KiB a window, and merging is one addition per bucket. */
  readonly counts: Float64Array;
}

const OCTAVES = 32;
const MANTISSA_BITS = 6;
const BUCKETS_PER_OCTAVE = 2 ** MANTISSA_BITS;

export const LATENCY_BUCKETS = 1 + OCTAVES * BUCKETS_PER_OCTAVE;

/** The high word of a float64 is sign, 11 exponent bits, then the top 20 mantissa bits. */
const BITS_BELOW_BUCKET = 20 - MANTISSA_BITS;
const BUCKET_OF_ONE = 1023 << MANTISSA_BITS;

const bits = new DataView(new ArrayBuffer(8));

export function emptyLatency(): LatencySketch {
  return { count: 0, sumUs: 0, maxUs: 0, counts: new Float64Array(LATENCY_BUCKETS) };
}

/** @throws SketchError `value` on a negative or non-finite duration: the caller's clock is wrong */
export function addLatency(sketch: LatencySketch, durationUs: number): void {
  if (!(durationUs >= 0 && durationUs < Infinity)) refuse(durationUs);
  sketch.count += 1;
  sketch.sumUs += durationUs;
  if (durationUs > sketch.maxUs) sketch.maxUs = durationUs;
  sketch.counts[latencyBucket(durationUs)] += 1;
}

function refuse(durationUs: number): never {
  throw new SketchError('value', `duration ${durationUs} µs: must be finite and at least 0`);
}

export function mergeLatency(into: LatencySketch, from: LatencySketch): void {
  into.count += from.count;
  into.sumUs += from.sumUs;
  if (from.maxUs > into.maxUs) into.maxUs = from.maxUs;
  // Above the bucket of the largest there is nothing: most of the 2,049 buckets need not be looked at.
  const used = from.count === 0 ? 0 : latencyBucket(from.maxUs) + 1;
  for (let k = 0; k < used; k += 1) into.counts[k] += from.counts[k];
}

/** The bucket of a duration in µs, finite and >= 0. */
export function latencyBucket(durationUs: number): number {
  if (durationUs < 1) return 0;
  bits.setFloat64(0, durationUs);
  const bucket = 1 + (bits.getUint32(0) >>> BITS_BELOW_BUCKET) - BUCKET_OF_ONE;
  return Math.min(bucket, LATENCY_BUCKETS - 1);
}

/**
 * The duration in µs that a share `q` of the requests did not exceed (nearest rank), within
 * 0.79 % between 1 µs and 71 minutes; q = 1 gives the exact maximum. `null` while empty.
 *
 * @throws SketchError `value` unless 0 <= q <= 1
 */
export function quantile(sketch: LatencySketch, q: number): number | null {
  if (!(q >= 0 && q <= 1)) throw new SketchError('value', `quantile ${q}: must be from 0 to 1`);
  if (sketch.count === 0) return null;
  const rank = Math.max(1, Math.ceil(q * sketch.count));
  if (rank === sketch.count) return sketch.maxUs;
  let seen = 0;
  for (let k = 0; k < LATENCY_BUCKETS; k += 1) {
    seen += sketch.counts[k];
    if (seen >= rank) return Math.min(bucketMiddleUs(k), sketch.maxUs);
  }
  return sketch.maxUs;
}

function bucketMiddleUs(bucket: number): number {
  if (bucket === 0) return 0.5;
  const octave = Math.floor((bucket - 1) / BUCKETS_PER_OCTAVE);
  const step = (bucket - 1) % BUCKETS_PER_OCTAVE;
  return 2 ** octave * (1 + (step + 0.5) / BUCKETS_PER_OCTAVE);
}
