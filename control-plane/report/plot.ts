import type { CategoryGrid } from '../../protocol/sketch/frequency.ts';
import type { HistogramGrid } from '../../protocol/sketch/grid.ts';
import type { FeatureGrid, FeatureSketch } from '../../protocol/sketch/window.ts';
import { allCells } from '../../protocol/statistics/drift.ts';
import type { Plot, PlotBin } from './report-data.ts';

const PLOT_BINS = 24;
/** Up to here every edge is drawn; beyond, what lies outside the second and last but one is summed up. */
const FEW_EDGES = 8;
/** Categories that get a bar; the others share one. */
const PLOT_BARS = 12;
/** A range this narrow, of the values themselves, is one value: an atom ends at the next float64. */
const ONE_VALUE = 1e-9;

/** Null for hashed values, whose buckets mean nothing to anyone. */
export function plotOf(
  grid: FeatureGrid,
  reference: FeatureSketch,
  current: FeatureSketch,
): Plot | null {
  if (grid.kind === 'numeric') return numericPlot(grid, reference.counts, current.counts);
  return grid.kind === 'categorical' ? categoryPlot(grid, reference, current) : null;
}

/**
 * Bins of equal width out of bins of equal mass: each spreads its rows evenly over its width, which is all that is known
 * of them, and a value with a bin of its own stays where it is.
 */
export function numericPlot(
  { edges }: HistogramGrid,
  reference: Float64Array,
  current: Float64Array,
): Plot {
  const { low, high } = rangeOf(edges);
  const width = (high - low) / PLOT_BINS;
  const sides = [reference, current].map((counts) => {
    const rows = counts.reduce((sum, count) => sum + count, 0) || 1;
    const bins = new Float64Array(PLOT_BINS);
    const outside = { below: 0, above: 0 };
    for (const [k, count] of counts.entries()) {
      const from = k === 0 ? -Infinity : edges[k - 1];
      const to = k === edges.length ? Infinity : edges[k];
      // The outer bins are open: how far their values lie outside is not known.
      if (k === 0 || to <= low) outside.below += count / rows;
      else if (k === edges.length || from >= high) outside.above += count / rows;
      else spread(bins, count / rows, (from - low) / width, (to - low) / width);
    }
    return { bins, ...outside };
  });
  const [before, now] = sides;
  return {
    kind: 'histogram',
    bins: Array.from(
      { length: PLOT_BINS },
      (_, k): PlotBin => ({
        low: low + k * width,
        high: k === PLOT_BINS - 1 ? high : low + (k + 1) * width,
        reference: before.bins[k],
        current: now.bins[k],
      }),
    ),
    below: { reference: before.below, current: now.below },
    above: { reference: before.above, current: now.above },
  };
}

/** The most frequent categories of the reference, the others together, what it did not know, and what is missing. */
export function categoryPlot(
  { values }: CategoryGrid,
  reference: FeatureSketch,
  current: FeatureSketch,
): Plot {
  const [before, now] = [reference, current].map(shares);
  const bar = (label: string, cells: readonly number[]) => ({
    label,
    reference: cells.reduce((sum, k) => sum + before[k], 0),
    current: cells.reduce((sum, k) => sum + now[k], 0),
  });
  const shown = values.slice(0, PLOT_BARS);
  const rest = values.slice(PLOT_BARS).map((_, k) => PLOT_BARS + k);
  const bars = shown.map((value, k) => bar(String(value), [k]));
  if (rest.length > 0) bars.push(bar(`${rest.length} others`, rest));
  const apart = [bar('not in the reference', [values.length]), bar('missing', [values.length + 1])];
  const seen = apart.filter((one) => one.reference + one.current > 0);
  return { kind: 'bars', bars: [...bars, ...seen] };
}

function shares(sketch: FeatureSketch): Float64Array {
  const cells = allCells(sketch);
  const rows = cells.reduce((sum, count) => sum + count, 0) || 1;
  return cells.map((count) => count / rows);
}

function rangeOf(edges: Float64Array): { low: number; high: number } {
  const skip = edges.length > FEW_EDGES ? 1 : 0;
  const low = edges[skip];
  const high = edges[edges.length - 1 - skip];
  const least = Math.max(Math.abs(low), Math.abs(high), Number.MIN_VALUE / ONE_VALUE) * ONE_VALUE;
  if (high - low > least) return { low, high };
  const half = Math.max(Math.abs(low) / 2, 0.5);
  return { low: low - half, high: high + half };
}

/** @param from in bins, below `to`; a stretch within one bin is all its own */
function spread(bins: Float64Array, share: number, from: number, to: number): void {
  const [start, end] = [Math.max(0, from), Math.min(bins.length, to)];
  const first = Math.min(bins.length - 1, Math.floor(start));
  if (!(end - start > ONE_VALUE)) {
    bins[first] += share;
    return;
  }
  for (let k = first; k < end; k += 1) {
    bins[k] += (share * (Math.min(end, k + 1) - Math.max(start, k))) / (end - start);
  }
}
