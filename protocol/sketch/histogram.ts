import { type BinTable, CELL_SHIFT } from './bin-table.ts';
import { SketchError } from './error.ts';
import { binOf, type HistogramGrid } from './grid.ts';
import {
  addSumsToMoments,
  addToMoments,
  emptyMoments,
  MAX_MAGNITUDE,
  type Moments,
  mergeMoments,
} from './moments.ts';

/**
 * A numeric feature over one window, counted on bins that the reference fixed. Counts on such
 * bins are exact and merge by addition, so PSI, chi-square, JS and KS of a fleet are those of
 * the raw data on those bins. Every value lands in exactly one of `missing`, `nonFinite` and
 * `counts`; `moments.count` is the sum of `counts`.
 */
export interface NumericSketch {
  readonly kind: 'numeric';
  readonly moments: Moments;
  /** Null or absent values. */
  missing: number;
  /** NaN, ±Inf, and |x| > MAX_MAGNITUDE: in no bin and not in the moments. */
  nonFinite: number;
  /** One per bin of the grid: `edges.length + 1`. */
  readonly counts: Float64Array;
  /** Σ x of each bin, for Wasserstein; same length as `counts`. */
  readonly sums: Float64Array;
}

export function emptyNumeric(grid: HistogramGrid): NumericSketch {
  const bins = grid.edges.length + 1;
  return {
    kind: 'numeric',
    moments: emptyMoments(),
    missing: 0,
    nonFinite: 0,
    counts: new Float64Array(bins),
    sums: new Float64Array(bins),
  };
}

/** Counts one value. On the path of every request: no allocation, one binary search. */
export function addNumeric(
  sketch: NumericSketch,
  grid: HistogramGrid,
  x: number | null | undefined,
): void {
  if (x === null || x === undefined) {
    sketch.missing += 1;
    return;
  }
  // Negated so that NaN, which compares false with everything, is caught too.
  if (!(Math.abs(x) <= MAX_MAGNITUDE)) {
    sketch.nonFinite += 1;
    return;
  }
  const bin = binOf(grid, x);
  sketch.counts[bin] += 1;
  sketch.sums[bin] += x;
  addToMoments(sketch.moments, x);
}

/** Rows of a tensor that lie one after another: a column's value in row r is `data[r * width + column]`. */
export interface TensorRows {
  readonly data: ArrayLike<number | bigint | string>;
  readonly rows: number;
  readonly width: number;
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/**
 * Counts values[from] to values[to - 1]: as `addNumeric` does value by value, but for the rounding of mean and m2. On
 * the path of every request: no allocation, and no division, no search and no call per value.
 */
export function addNumericBlock(
  sketch: NumericSketch,
  table: BinTable,
  values: Float64Array,
  from: number,
  to: number,
): void {
  let first = from;
  while (first < to && !(Math.abs(values[first]) <= MAX_MAGNITUDE)) first += 1;
  sketch.nonFinite += first - from;
  if (first === to) return;
  const { edges, below, middle, scale } = table;
  const { counts, sums, moments } = sketch;
  const origin = values[first];
  let min = moments.min;
  let max = moments.max;
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (let at = first; at < to; at += 1) {
    const x = values[at];
    if (!(Math.abs(x) <= MAX_MAGNITUDE)) continue;
    single[0] = (x - middle) * scale;
    let bin = below[singleBits[0] >>> CELL_SHIFT];
    // Where a cell holds an edge the comparison is a coin toss: added, not branched on.
    bin += edges[bin] <= x ? 1 : 0;
    while (edges[bin] <= x) bin += 1;
    counts[bin] += 1;
    sums[bin] += x;
    const offset = x - origin;
    sum += offset;
    squares += offset * offset;
    count += 1;
    if (x < min) min = x;
    if (x > max) max = x;
  }
  sketch.nonFinite += to - first - count;
  moments.min = min;
  moments.max = max;
  addSumsToMoments(moments, count, origin, sum, squares);
}

/**
 * Adds `from` to `into`. Both must come from the same grid; only the number of bins can be
 * checked here, so windows of different references must be kept apart by their profile digest.
 *
 * @throws SketchError `shape` when the numbers of bins differ; `into` is then unchanged
 */
export function mergeNumeric(into: NumericSketch, from: NumericSketch): void {
  if (into.counts.length !== from.counts.length) {
    throw new SketchError(
      'shape',
      `cannot merge ${from.counts.length} bins into ${into.counts.length}: different references`,
    );
  }
  into.missing += from.missing;
  into.nonFinite += from.nonFinite;
  for (let k = 0; k < into.counts.length; k += 1) {
    into.counts[k] += from.counts[k];
    into.sums[k] += from.sums[k];
  }
  mergeMoments(into.moments, from.moments);
}
