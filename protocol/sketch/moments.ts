/**
 * Count, mean, spread and range of a stream of numbers, mergeable.
 *
 * Means and squared deviations are kept centred (Welford 1962) and merged pairwise (Chan, Golub,
 * LeVeque 1979). Plain sums of x and x² would lose every digit of the variance of a feature with
 * a large offset, such as a Unix timestamp.
 */
export interface Moments {
  count: number;
  mean: number;
  /** Σ (x − mean)², in squared units of the value. */
  m2: number;
  /** `Infinity` while empty. */
  min: number;
  /** `-Infinity` while empty. */
  max: number;
}

/**
 * Largest |x| that moments take: 2^480, about 3e144. With at most 2^53 values, m2 then stays
 * below 2^1015 and can't overflow: one absurd value must not turn a merged fleet mean into NaN.
 */
export const MAX_MAGNITUDE = 2 ** 480;

export function emptyMoments(): Moments {
  return { count: 0, mean: 0, m2: 0, min: Infinity, max: -Infinity };
}

/** Adds one value, |x| <= MAX_MAGNITUDE (the caller has checked). Does not allocate. */
export function addToMoments(moments: Moments, x: number): void {
  moments.count += 1;
  const delta = x - moments.mean;
  moments.mean += delta / moments.count;
  moments.m2 += delta * (x - moments.mean);
  if (x < moments.min) moments.min = x;
  if (x > moments.max) moments.max = x;
}

/**
 * Adds `count` values of which Σ (x − origin) and Σ (x − origin)² are known, `origin` being one of them; min and max are
 * the caller's. Because the origin is a value, Σ (x − mean)² is at
 * least (origin − mean)², and what cancels in the subtraction is at most a factor `count` of it: 1e-13 for 1,000.
 */
export function addSumsToMoments(
  moments: Moments,
  count: number,
  origin: number,
  sum: number,
  squares: number,
): void {
  const ofOrigin = sum / count;
  const delta = origin + ofOrigin - moments.mean;
  const total = moments.count + count;
  const share = count / total;
  moments.mean = moments.count === 0 ? origin + ofOrigin : moments.mean + delta * share;
  moments.m2 += Math.max(0, squares - sum * ofOrigin) + delta * delta * moments.count * share;
  moments.count = total;
}

/** Adds `from` to `into`; `from` is left as it is. The order of merges matters only in rounding. */
export function mergeMoments(into: Moments, from: Moments): void {
  if (from.count === 0) return;
  const count = into.count + from.count;
  const delta = from.mean - into.mean;
  const share = from.count / count;
  // An empty `into` has weight 0, so its mean of 0 must not be mixed in by rounding.
  into.mean = into.count === 0 ? from.mean : into.mean + delta * share;
  into.m2 += from.m2 + delta * delta * into.count * share;
  into.count = count;
  if (from.min < into.min) into.min = from.min;
  if (from.max > into.max) into.max = from.max;
}

/** Population variance m2 / count, in squared units of the value; 0 while empty. */
export function variance(moments: Moments): number {
  return moments.count === 0 ? 0 : moments.m2 / moments.count;
}
