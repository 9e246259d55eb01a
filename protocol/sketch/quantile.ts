import { SketchError } from './error.ts';
import { MAX_MAGNITUDE } from './moments.ts';

/**
 * Ranks of a stream of numbers in bounded memory: KLL (Karnin, Lang, Liberty 2016). An item of level h stands for 2^h
 * values. A full level is sorted, every second item goes one level up, the others are dropped; whether it is the odd
 * or the even ones is drawn from the sketch's own generator, so that the same values in the same order always give
 * the same sketch. Deeper levels are smaller, by 2/3 each:
 *
 *     level 3   k items                 each stands for 8 values
 *     level 2   2/3 k                   4
 *     level 1   4/9 k                   2
 *     level 0   8/27 k, at least 8      1
 *     block     below 2^base values     1   (one in 2^base goes on, to level `base`)
 *
 * The block is the sampler of the paper (section 4): past SAMPLED_VALUES values, of each 2^base that follow one drawn
 * by lot goes on, so that a value then costs a copy and no sort. For learning a reference's bins: counts on those are
 * exact, and merge exactly, whatever the error of the ranks.
 */
export interface QuantileSketch {
  readonly k: number;
  /** Finite values counted: the weights of all items add up to this. */
  count: number;
  /** NaN, ±Inf, and |x| > MAX_MAGNITUDE: in no rank. */
  nonFinite: number;
  /** `Infinity` while empty. Exact. */
  min: number;
  /** `-Infinity` while empty. Exact. */
  max: number;
  /** Level h has `sizes[h]` items in `levels[h]`, in no order. */
  readonly levels: Float64Array[];
  readonly sizes: number[];
  /** Items at which each level is compacted; follows from k and how many levels there are. */
  readonly capacities: number[];
  /** Values that wait for their lot: `blockSize` of them, below 2^base. */
  readonly block: Float64Array;
  blockSize: number;
  base: number;
  /** State of the generator (xorshift32); never 0. */
  state: number;
}

export const MIN_K = 8;
export const MAX_K = 8192;
const MIN_LEVEL = 8;
/** 2^42 values at the least, whatever k. */
export const MAX_LEVELS = 40;
/** Values after which one in two, then one in four, ... goes on. */
export const SAMPLED_VALUES = 2 ** 18;
export const MAX_BASE = 12;

/** @throws SketchError `limit` unless k is a whole number from MIN_K to MAX_K, `value` unless seed is one above 0 */
export function emptyQuantiles(k = 200, seed = 0x9e3779b9): QuantileSketch {
  if (!Number.isInteger(k) || k < MIN_K || k > MAX_K) {
    throw new SketchError('limit', `k ${k}: a whole number from ${MIN_K} to ${MAX_K}`);
  }
  if (!Number.isInteger(seed) || seed < 1 || seed > 0xffffffff) {
    throw new SketchError('value', `seed ${seed}: a whole number from 1 to 2^32 - 1`);
  }
  return {
    k,
    count: 0,
    nonFinite: 0,
    min: Infinity,
    max: -Infinity,
    levels: [new Float64Array(k + 1)],
    sizes: [0],
    capacities: [levelCapacity(k, 0, 1)],
    block: new Float64Array(2 ** MAX_BASE),
    blockSize: 0,
    base: 0,
    state: seed,
  };
}

/** Counts one value. */
export function addQuantile(sketch: QuantileSketch, x: number): void {
  // Negated so that NaN, which compares false with everything, is caught too.
  if (!(Math.abs(x) <= MAX_MAGNITUDE)) {
    sketch.nonFinite += 1;
    return;
  }
  if (x < sketch.min) sketch.min = x;
  if (x > sketch.max) sketch.max = x;
  sketch.count += 1;
  addItem(sketch, x);
}

/** Counts values[from] to values[to - 1]: as `addQuantile` one by one. */
export function addQuantileBlock(
  sketch: QuantileSketch,
  values: Float64Array,
  from = 0,
  to = values.length,
): void {
  for (let at = from; at < to; at += 1) addQuantile(sketch, values[at]);
}

/**
 * Adds `from` to `into`; `from` is left as it is. The ranks of the result are within `rankError` of those of all the
 * values, whichever way round and however often: not the same bytes, because what is dropped depends on the order.
 *
 * @throws SketchError `shape` when k differs; `into` is then unchanged
 */
export function mergeQuantiles(into: QuantileSketch, from: QuantileSketch): void {
  if (into.k !== from.k) {
    throw new SketchError('shape', `cannot merge k = ${from.k} into k = ${into.k}`);
  }
  into.count += from.count;
  into.nonFinite += from.nonFinite;
  into.min = Math.min(into.min, from.min);
  into.max = Math.max(into.max, from.max);
  for (let at = 0; at < from.blockSize; at += 1) addItem(into, from.block[at]);
  for (const [level, items] of from.levels.entries()) {
    for (let at = 0; at < from.sizes[level]; at += 1) push(into, level, items[at]);
  }
}

/** Items a level takes before it is compacted, in a sketch of `levels` levels. */
export function levelCapacity(k: number, level: number, levels: number): number {
  return Math.max(MIN_LEVEL, Math.ceil(k * (2 / 3) ** (levels - 1 - level)));
}

function addItem(sketch: QuantileSketch, x: number): void {
  if (sketch.base === 0) {
    push(sketch, 0, x);
    if (sketch.count >= SAMPLED_VALUES) sketch.base = 1;
    return;
  }
  const size = 2 ** sketch.base;
  sketch.block[sketch.blockSize] = x;
  sketch.blockSize += 1;
  if (sketch.blockSize < size) return;
  sketch.blockSize = 0;
  push(sketch, sketch.base, sketch.block[draw(sketch) % size]);
  const most = SAMPLED_VALUES * size;
  if (sketch.count >= most && sketch.base < MAX_BASE) sketch.base += 1;
}

function push(sketch: QuantileSketch, level: number, x: number): void {
  while (sketch.levels.length <= level) grow(sketch);
  const size = sketch.sizes[level];
  sketch.levels[level][size] = x;
  sketch.sizes[level] = size + 1;
  if (size + 1 >= sketch.capacities[level]) compact(sketch, level);
}

/** Levels below shrink by a third then; one that has more than that now is compacted when it is next pushed to. */
export function grow({ k, levels, sizes, capacities }: QuantileSketch): void {
  levels.push(new Float64Array(k + 1));
  sizes.push(0);
  for (const level of levels.keys()) capacities[level] = levelCapacity(k, level, levels.length);
}

function compact(sketch: QuantileSketch, level: number): void {
  if (level + 1 >= MAX_LEVELS) {
    throw new SketchError('limit', `${sketch.count} values: more than ${MAX_LEVELS} levels`);
  }
  const items = sketch.levels[level];
  const size = sketch.sizes[level];
  items.subarray(0, size).sort();
  // Of an odd number the smallest stays where it is.
  const left = size % 2;
  sketch.sizes[level] = left;
  const first = left + (draw(sketch) & 1);
  for (let at = first; at < size; at += 2) push(sketch, level + 1, items[at]);
}

/** xorshift32 (Marsaglia 2003), its lowest bits from the top: the lowest of xorshift itself are weak. */
function draw(sketch: QuantileSketch): number {
  let x = sketch.state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  sketch.state = x >>> 0;
  return Math.imul(sketch.state, 0x9e3779b1) >>> 16;
}
