import type { BitReader } from './bit-reader.ts';
import type { BitWriter } from './bit-writer.ts';
import { SketchError } from './error.ts';
import { MAX_MAGNITUDE, type Moments, variance } from './moments.ts';

/** Where between the smallest and the largest value the mean lies, in 32 bits. */
const MEAN_STEPS = 2 ** 32 - 1;
/** No values between 0 and 1 have a larger σ. */
const MAX_SIGMA_SHARE = 0.5;

/** As the reader will have them: what is written behind them must be relative to these, not to the true ones. */
export interface CompactMoments {
  readonly moments: Moments;
  readonly sigma: number;
}

/**
 * min and max as they are, in 32 bits where both are float32, as all values of an FP32 tensor. Where they differ, mean
 * and σ as shares of what lies between: off by at most 2^-33 of it, and by 2^-24 of σ.
 */
export function writeCompactMoments(bits: BitWriter, moments: Moments): CompactMoments {
  bits.room(8);
  const { count, min, max } = moments;
  const single = Math.fround(min) === min && Math.fround(max) === max;
  bits.put(single ? 1 : 0, 1);
  if (single) {
    bits.float32(min);
    bits.float32(max);
  } else {
    bits.float64(min);
    bits.float64(max);
  }
  const range = max - min;
  if (!(range > 0)) return momentsOf(count, min, max, 0, 0);
  const place = Math.round(clamp((moments.mean - min) / range, 1) * MEAN_STEPS);
  const share = Math.fround(clamp(Math.sqrt(variance(moments)) / range, MAX_SIGMA_SHARE));
  bits.uint32(place);
  bits.float32(share);
  return momentsOf(count, min, max, place, share);
}

/** Refuses moments that no data have: merged into a fleet's, one NaN would stay for ever. */
export function readCompactMoments(bits: BitReader, count: number): CompactMoments {
  const single = bits.take(1) === 1;
  const min = single ? bits.float32() : bits.float64();
  const max = single ? bits.float32() : bits.float64();
  if (!(min <= max && Math.max(-min, max) <= MAX_MAGNITUDE)) {
    throw new SketchError('format', `no ${count} values have min ${min}, max ${max}`);
  }
  if (min === max) return momentsOf(count, min, max, 0, 0);
  const place = bits.uint32();
  const share = bits.float32();
  if (!(share >= 0 && share <= MAX_SIGMA_SHARE)) {
    throw new SketchError('format', `no ${count} values have a σ of ${share} of their range`);
  }
  return momentsOf(count, min, max, place, share);
}

function momentsOf(
  count: number,
  min: number,
  max: number,
  place: number,
  share: number,
): CompactMoments {
  const range = max - min;
  const sigma = share * range;
  const mean = Math.min(max, min + range * (place / MEAN_STEPS));
  return { moments: { count, mean, m2: count * sigma * sigma, min, max }, sigma };
}

function clamp(value: number, most: number): number {
  return value > 0 ? Math.min(value, most) : 0;
}
