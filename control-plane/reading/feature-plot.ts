import type { CategoricalSketch, CategoryGrid } from '../../protocol/sketch/frequency.ts';
import type { NumericSketch } from '../../protocol/sketch/histogram.ts';
import type { FeatureGrid, FeatureSketch } from '../../protocol/sketch/window.ts';
import type { Plot, PlotBin } from '../report/report-data.ts';

/** Bins of a picture: some 12 pixels each on a desk. */
const DRAWN_BINS = 40;
/** Bins at an end that take at least this share of the width are drawn as "below" or "above" … */
const WIDE_END = 0.4;
/** … but only while no more than this share of the reference lies there. */
const CUT_SHARE = 0.1;
/** Bins that are drawn in any case. */
const MIN_BINS = 4;
/** Below, division loses digits. */
const LEAST_WIDTH = 1e-300;
/** Edges count as evenly spaced within this share of a step. */
const EVEN = 1e-6;

/** What a picture of a feature shows, from the counts alone. Null: nothing to draw (hashed values have no names). */
export function featurePlot(
  reference: FeatureSketch,
  current: FeatureSketch,
  grid: FeatureGrid,
): Plot | null {
  if (grid.kind === 'numeric' && reference.kind === 'numeric' && current.kind === 'numeric') {
    return numericPlot(reference, current, grid.edges);
  }
  if (
    grid.kind === 'categorical' &&
    reference.kind === 'categorical' &&
    current.kind === 'categorical'
  ) {
    return categoryPlot(reference, current, grid);
  }
  return null;
}

/** One bar for each value of the dictionary, then what is in none, then what is missing. */
function categoryPlot(
  reference: CategoricalSketch,
  current: CategoricalSketch,
  { values }: CategoryGrid,
): Plot {
  const [before, now] = [reference, current].map(
    ({ counts, unseen, missing }) => counts.reduce((sum, n) => sum + n, unseen + missing) || 1,
  );
  const bar = (label: string, a: number, b: number) => ({
    label,
    reference: a / before,
    current: b / now,
  });
  const bars = values.map((value, k) => bar(String(value), reference.counts[k], current.counts[k]));
  const others = [
    bar('(not in the reference)', reference.unseen, current.unseen),
    bar('(missing)', reference.missing, current.missing),
  ];
  return {
    kind: 'bars',
    bars: [...bars, ...others.filter((one) => one.reference + one.current > 0)],
  };
}

/** A bin with the share of both sides in it. */
type Mass = PlotBin;

/**
 * Bins of equal width, whatever the grid's are: a bin cut at quantiles holds the same share of the reference wherever it
 * lies, so bars of such bins would all be of one height. Evenly spaced grids are drawn as they are.
 */
function numericPlot(
  reference: NumericSketch,
  current: NumericSketch,
  edges: Float64Array,
): Plot | null {
  const masses = massesOf(reference, current, edges);
  const outer = closedOuter(reference, current, edges);
  const inner = masses.slice(1, -1);
  if (edges.length < 2) return null;
  if (isEven(edges) && edges[1] - edges[0] > LEAST_WIDTH) {
    const [first, last] = [masses[0], masses[masses.length - 1]];
    const low = outer.low === null ? [] : [{ ...first, low: outer.low }];
    const high = outer.high === null ? [] : [{ ...last, high: outer.high }];
    return {
      kind: 'histogram',
      bins: [...low, ...inner, ...high],
      below: sidesOf(outer.low === null ? [first] : []),
      above: sidesOf(outer.high === null ? [last] : []),
    };
  }
  const [from, to] = drawnRange(inner);
  return {
    kind: 'histogram',
    bins: spread(inner.slice(from, to)),
    below: sidesOf([masses[0], ...inner.slice(0, from)]),
    above: sidesOf([...inner.slice(to), masses[masses.length - 1]]),
    note: `Counted on ${masses.length} bins cut at the reference’s quantiles; drawn as if rows lay evenly within each of them.`,
  };
}

function massesOf(
  reference: NumericSketch,
  current: NumericSketch,
  edges: Float64Array,
): readonly Mass[] {
  const [before, now] = [reference, current].map(
    ({ counts }) => counts.reduce((sum, n) => sum + n, 0) || 1,
  );
  return Array.from(reference.counts, (count, k) => ({
    low: k === 0 ? edges[0] : edges[k - 1],
    high: k === edges.length ? edges[k - 1] : edges[k],
    reference: count / before,
    current: current.counts[k] / now,
  }));
}

/** The outer bins of an even grid end one step further out, if nothing was seen beyond: scores from 0 to 1. */
function closedOuter(reference: NumericSketch, current: NumericSketch, edges: Float64Array) {
  const last = edges.length - 1;
  const step = (edges[last] - edges[0]) / Math.max(1, last);
  const low = edges[0] - step;
  const high = edges[last] + step;
  const slack = step * EVEN;
  const least = Math.min(reference.moments.min, current.moments.min);
  const most = Math.max(reference.moments.max, current.moments.max);
  return {
    low: least >= low - slack ? low : null,
    high: most <= high + slack ? high : null,
  };
}

function isEven(edges: Float64Array): boolean {
  const step = (edges[edges.length - 1] - edges[0]) / (edges.length - 1);
  return edges.every(
    (edge, k) => Math.abs(edge - (edges[0] + k * step)) <= step * EVEN * edges.length,
  );
}

/** Without the ends that would squeeze all others into a corner; [from, to) of the inner bins. */
function drawnRange(inner: readonly Mass[]): readonly [number, number] {
  let [from, to] = [0, inner.length];
  for (;;) {
    const right = endToCut(inner.slice(from, to).reverse());
    const left = endToCut(inner.slice(from, to));
    if (right === 0 && left === 0) return [from, to];
    if (right > 0) to -= right;
    else from += left;
  }
}

/**
 * How many of the first bins take WIDE_END of the width with hardly any of the reference in them; 0: none. Where in such
 * a bin the current rows lie is not known, so that a bar beside the others says more of them than a long flat line.
 */
function endToCut(bins: readonly Mass[]): number {
  const last = bins.length - MIN_BINS;
  const end = bins[bins.length - 1];
  const width = (from: number) =>
    Math.max(end.high, bins[from].high) - Math.min(end.low, bins[from].low);
  const all = width(0);
  for (let cut = 1; cut <= last; cut += 1) {
    if (sidesOf(bins.slice(0, cut)).reference > CUT_SHARE) return 0;
    if (width(cut) <= all * (1 - WIDE_END)) return cut;
  }
  return 0;
}

/** Each bin's share, laid evenly over its width, on DRAWN_BINS bins of equal width. */
function spread(masses: readonly Mass[]): readonly PlotBin[] {
  const low = masses[0].low;
  const high = masses[masses.length - 1].high;
  const width = (high - low) / DRAWN_BINS;
  // Values so near to each other that floats between them run out.
  if (width < LEAST_WIDTH || low + width === low || high - width === high) {
    return [{ low, high, ...sidesOf(masses) }];
  }
  const bins = Array.from({ length: DRAWN_BINS }, (_, k) => ({
    low: low + k * width,
    high: low + (k + 1) * width,
    reference: 0,
    current: 0,
  }));
  for (const mass of masses) {
    const at = (value: number) => (value - low) / width;
    const [start, end] = [at(mass.low), at(mass.high)];
    const first = Math.min(DRAWN_BINS - 1, Math.max(0, Math.floor(start)));
    const last = Math.min(DRAWN_BINS - 1, Math.max(first, Math.ceil(end) - 1));
    for (let k = first; k <= last; k += 1) {
      // A bin of one value has no width to share out.
      const share =
        first === last ? 1 : (Math.min(end, k + 1) - Math.max(start, k)) / (end - start);
      bins[k].reference += mass.reference * share;
      bins[k].current += mass.current * share;
    }
  }
  return bins;
}

function sidesOf(masses: readonly Mass[]): { reference: number; current: number } {
  return {
    reference: masses.reduce((sum, mass) => sum + mass.reference, 0),
    current: masses.reduce((sum, mass) => sum + mass.current, 0),
  };
}
