import { SketchError } from './error.ts';
import { MAX_MAGNITUDE } from './moments.ts';

/**
 * Where the bins of a numeric feature begin and end. `edges` are the inner edges, strictly
 * increasing; there are `edges.length + 1` bins and the two outer ones are open:
 *
 *     bin 0: x < edges[0]    bin k: edges[k-1] <= x < edges[k]    last bin: edges[last] <= x
 *
 * Closed on the left, so that an atom v is the bin between the edges v and nextUp(v).
 */
export interface HistogramGrid {
  readonly edges: Float64Array;
}

/** Bins of one feature. A window then costs at most 256 × 6 bytes a feature on the wire. */
export const MAX_BINS = 256;

/** An atom adds a bin, and one lies at each end, so a grid asked for `bins` may have up to 2 × bins + 1. */
const MAX_REFERENCE_BINS = MAX_BINS / 2 - 1;

/**
 * Cuts at the quantiles of a reference, so that each of about `bins` bins holds 1/bins of it.
 * A value heavier than 1/bins gets a bin of its own, which makes "the sensor is stuck at 0" or a
 * default value an exact cell instead of an accident of where an edge fell. Gaps between such
 * atoms stay bins too, empty in the reference: a value that appears there is news. So are the outer bins: they hold
 * what is below the smallest and above the largest value of the reference, and say how much is out of its range.
 *
 * `values` must have been rounded as the values to be compared will be: a reference in float64
 * has its atom at 0.1, a float32 tensor sends 0.10000000149011612 and would miss it.
 *
 * @param values any order; NaN, ±Inf and |x| > MAX_MAGNITUDE are left out
 * @param bins 2 to 127, outer ones not included; the grid has at most 2 × bins + 1 bins
 * @throws SketchError `limit` on `bins`, `value` when no finite value is left
 */
export function gridFromReference(values: Float64Array, bins = 32): HistogramGrid {
  const sorted = values.filter((x) => Math.abs(x) <= MAX_MAGNITUDE).sort();
  return gridFromWeights(sorted, new Float64Array(sorted.length).fill(1), bins);
}

/**
 * The same of values that each stand for several, such as those of a quantile sketch: equal to `gridFromReference`
 * where each weight is how often the value occurs.
 *
 * @param sorted finite, ascending, smallest and largest of the reference among them
 * @param weights one for each, whole numbers; 0 only moves the outer edges
 * @throws SketchError `limit` on `bins`, `value` when there is no value, `shape` when the lengths differ
 */
export function gridFromWeights(
  sorted: Float64Array,
  weights: Float64Array,
  bins = 32,
): HistogramGrid {
  requireBins(bins, 2, MAX_REFERENCE_BINS);
  if (weights.length !== sorted.length) {
    throw new SketchError('shape', `${sorted.length} values, ${weights.length} weights`);
  }
  const rows = weights.reduce((sum, weight) => sum + weight, 0);
  if (rows === 0) {
    throw new SketchError('value', 'reference has 0 finite values: at least 1 is needed');
  }
  const edges: number[] = [sorted[0]];
  let slotOfLastEdge = 0;
  let below = 0;
  for (let at = 0; at < sorted.length; ) {
    const value = sorted[at];
    const start = below;
    while (at < sorted.length && sorted[at] === value) {
      below += weights[at];
      at += 1;
    }
    const slot = Math.floor((start * bins) / rows);
    const isAtom = (below - start) * bins > rows;
    if (isAtom || slot > slotOfLastEdge) pushEdge(edges, value);
    if (isAtom) pushEdge(edges, nextUp(value));
    slotOfLastEdge = isAtom ? Math.floor((below * bins) / rows) : slot;
  }
  pushEdge(edges, nextUp(sorted[sorted.length - 1]));
  return { edges: Float64Array.from(edges) };
}

/**
 * Equal widths between `low` and `high`: for scores and probabilities. Exactly `bins` bins; what
 * lies below `low` is counted in the first and what lies at or above `high` in the last.
 *
 * @throws SketchError `limit` on `bins`, `value` unless low < high, both finite and far enough
 *   apart for the edges to differ
 */
export function uniformGrid(low: number, high: number, bins: number): HistogramGrid {
  requireBins(bins, 1, MAX_BINS);
  const edges = Float64Array.from(
    { length: bins - 1 },
    (_, k) => low + ((high - low) * (k + 1)) / bins,
  );
  const rising = edges.every((edge, k) => edge > (k === 0 ? low : edges[k - 1]));
  if (!(low < high) || !Number.isFinite(high - low) || !rising) {
    throw new SketchError('value', `no ${bins} uniform bins between ${low} and ${high}`);
  }
  return { edges };
}

/**
 * The bin of a finite x: how many edges are <= x. Binary search, no allocation. The comparison is
 * multiplied in and not branched on: between quantile bins every step is a coin toss, and the
 * mispredicted branches took more than half the time of counting a value (51 ns against 22).
 */
export function binOf(grid: HistogramGrid, x: number): number {
  const edges = grid.edges;
  let low = 0;
  let length = edges.length;
  while (length > 0) {
    const half = (length + 1) >>> 1;
    low += Number(edges[low + half - 1] <= x) * half;
    length -= half;
  }
  return low;
}

/** Keeps edges strictly increasing when an atom's upper edge is the next value itself. */
function pushEdge(edges: number[], edge: number): void {
  if (edges.length === 0 || edges[edges.length - 1] < edge) edges.push(edge);
}

/** The smallest float64 above a finite x (IEEE 754 nextUp). */
function nextUp(x: number): number {
  if (x === 0) return Number.MIN_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  view.setBigUint64(0, view.getBigUint64(0) + (x > 0 ? 1n : -1n));
  return view.getFloat64(0);
}

function requireBins(bins: number, least: number, most: number): void {
  if (!Number.isInteger(bins) || bins < least || bins > most) {
    throw new SketchError('limit', `bins ${bins}: a whole number from ${least} to ${most}`);
  }
}
