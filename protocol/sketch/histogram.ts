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

/** Values that are counted in one go: what lies between the two passes over them stays in a core's first cache. */
const CHUNK = 128;
const kept = new Float64Array(CHUNK);
const scaled = new Float32Array(CHUNK);
const scaledBits = new Uint32Array(scaled.buffer);

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
  for (let at = from; at < to; at += CHUNK) {
    const end = Math.min(at + CHUNK, to);
    const count = keepFinite(sketch.moments, table, values, at, end);
    sketch.nonFinite += end - at - count;
    countKept(sketch, table, count);
  }
}

/**
 * Takes what is finite into `kept`, and where it lies on the table's cells into `scaled`; adds it to the moments. Apart
 * from `countKept`: written and read back as bits within one step, each value would wait for its own store.
 */
function keepFinite(
  moments: Moments,
  { middle, scale }: BinTable,
  values: Float64Array,
  from: number,
  to: number,
): number {
  let first = from;
  while (first < to && !(Math.abs(values[first]) <= MAX_MAGNITUDE)) first += 1;
  if (first === to) return 0;
  const origin = values[first];
  let min = moments.min;
  let max = moments.max;
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (let at = first; at < to; at += 1) {
    const x = values[at];
    if (!(Math.abs(x) <= MAX_MAGNITUDE)) continue;
    kept[count] = x;
    scaled[count] = (x - middle) * scale;
    count += 1;
    const offset = x - origin;
    sum += offset;
    squares += offset * offset;
    if (x < min) min = x;
    if (x > max) max = x;
  }
  moments.min = min;
  moments.max = max;
  addSumsToMoments(moments, count, origin, sum, squares);
  return count;
}

function countKept({ counts, sums }: NumericSketch, table: BinTable, count: number): void {
  const { edges, below } = table;
  for (let at = 0; at < count; at += 1) {
    const x = kept[at];
    let bin = below[scaledBits[at] >>> CELL_SHIFT];
    // Where a cell holds an edge the comparison is a coin toss: added, not branched on.
    bin += Number(edges[bin] <= x);
    while (edges[bin] <= x) bin += 1;
    counts[bin] += 1;
    sums[bin] += x;
  }
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
