import { SketchError } from './error.ts';
import { type QuantileSketch, SAMPLED_VALUES } from './quantile.ts';

/**
 * Half-width of the 99 % interval of a rank, as a share of the count: 2.296 / k^0.9723 from the compactions (as fitted
 * by Apache DataSketches for the same capacities) and, past SAMPLED_VALUES, that of a sample of half as many, √(1/4m).
 */
export function rankError({
  k,
  base,
  levels,
}: Pick<QuantileSketch, 'k' | 'base' | 'levels'>): number {
  if (levels.length === 1) return 0;
  const compacted = 2.296 / k ** 0.9723;
  const sampled = base === 0 ? 0 : 2.576 / Math.sqrt(2 * SAMPLED_VALUES);
  return Math.hypot(compacted, sampled);
}

export interface WeightedItems {
  /** Ascending; the first is the smallest value of all, the last the largest. */
  readonly values: Float64Array;
  /** How many values each stands for; they add up to the count. */
  readonly weights: Float64Array;
}

/** What is left of the values, each once. Smallest and largest value are among them, if need be with weight 0. */
export function weightedItems(sketch: QuantileSketch): WeightedItems {
  const weights = new Map<number, number>();
  const add = (value: number, weight: number) =>
    // + 0 makes 0 of -0: a Map holds them as one anyway.
    weights.set(value + 0, (weights.get(value) ?? 0) + weight);
  for (let at = 0; at < sketch.blockSize; at += 1) add(sketch.block[at], 1);
  for (const [level, items] of sketch.levels.entries()) {
    for (let at = 0; at < sketch.sizes[level]; at += 1) add(items[at], 2 ** level);
  }
  if (sketch.count > 0) {
    add(sketch.min, 0);
    add(sketch.max, 0);
  }
  const values = Float64Array.from(weights.keys()).sort();
  return { values, weights: values.map((value) => weights.get(value) ?? 0) };
}

/** Share of the values that are <= x, within `rankError`; null while empty. */
export function rankOf(sketch: QuantileSketch, x: number): number | null {
  if (sketch.count === 0) return null;
  const { values, weights } = weightedItems(sketch);
  let below = 0;
  for (let at = 0; at < values.length && values[at] <= x; at += 1) below += weights[at];
  return below / sketch.count;
}

/**
 * A value whose rank is q within `rankError` (nearest rank; q = 0 gives the minimum, 1 the maximum); null while empty.
 *
 * @throws SketchError `value` unless 0 <= q <= 1
 */
export function quantileOf(sketch: QuantileSketch, q: number): number | null {
  if (!(q >= 0 && q <= 1)) throw new SketchError('value', `quantile ${q}: must be from 0 to 1`);
  if (sketch.count === 0) return null;
  if (q === 0) return sketch.min;
  if (q === 1) return sketch.max;
  const { values, weights } = weightedItems(sketch);
  const rank = Math.max(1, Math.ceil(q * sketch.count));
  for (let at = 0, below = 0; at < values.length; at += 1) {
    below += weights[at];
    if (below >= rank) return values[at];
  }
  return sketch.max;
}
