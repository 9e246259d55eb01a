import { variance } from '../../protocol/sketch/moments.ts';
import type { FeatureGrid, FeatureSketch } from '../../protocol/sketch/window.ts';
import { chiSquare, chiSquareLogSurvival } from '../../protocol/statistics/chi-square.ts';
import { compareFeature } from '../../protocol/statistics/drift.ts';
import { debiasedPsi } from '../../protocol/statistics/psi.ts';

/** How far apart two versions' view of one quantity is. */
export interface Gap {
  /** PSI in nats less its bias; null where the versions' grids have no cells in common. */
  readonly psi: number | null;
  /** Difference of means in stable σ; null for categories. */
  readonly meanShift: number | null;
  readonly logP: number;
}

/** One arm's counts of a quantity, and the cells they were counted on. */
export interface Counted {
  readonly grid: FeatureGrid;
  readonly sketch: FeatureSketch;
}

/**
 * Compares what two versions counted of the same column. Versions bring their own grids: on equal
 * cells this is `compareFeature`; categories are aligned by value; numeric columns on different
 * edges are compared by their moments, which need no cells. Null when one is numeric and the other
 * categorical.
 */
export function compareAcross(stable: Counted, candidate: Counted): Gap | null {
  if (sameCells(stable.grid, candidate.grid)) {
    const measure = compareFeature(stable.sketch, candidate.sketch, stable.grid);
    return { psi: measure.psiDebiased, meanShift: shift(stable, candidate), logP: measure.logP };
  }
  if (stable.sketch.kind === 'numeric' && candidate.sketch.kind === 'numeric') {
    return byMoments(stable, candidate);
  }
  if (stable.grid.kind === 'categorical' && candidate.grid.kind === 'categorical') {
    return byValue(stable, candidate, stable.grid.values, candidate.grid.values);
  }
  return null;
}

/** Whether counts on both grids mean the same. */
export function sameCells(a: FeatureGrid, b: FeatureGrid): boolean {
  if (a.kind === 'numeric' && b.kind === 'numeric') return sameList(a.edges, b.edges);
  if (a.kind === 'categorical' && b.kind === 'categorical') return sameList(a.values, b.values);
  return a.kind === 'hashed' && b.kind === 'hashed';
}

function sameList(a: ArrayLike<number | string>, b: ArrayLike<number | string>): boolean {
  if (a.length !== b.length) return false;
  for (let k = 0; k < a.length; k += 1) if (a[k] !== b[k]) return false;
  return true;
}

function byMoments(stable: Counted, candidate: Counted): Gap {
  if (stable.sketch.kind !== 'numeric' || candidate.sketch.kind !== 'numeric') {
    return { psi: null, meanShift: null, logP: 0 };
  }
  const before = stable.sketch.moments;
  const now = candidate.sketch.moments;
  if (before.count === 0 || now.count === 0) return { psi: null, meanShift: null, logP: 0 };
  const square = variance(before) / before.count + variance(now) / now.count;
  const gap = now.mean - before.mean;
  // A constant on each side: any difference of constants is certain.
  const logP =
    gap === 0 ? 0 : square === 0 ? -Number.MAX_VALUE : chiSquareLogSurvival(gap ** 2 / square, 1);
  return { psi: null, meanShift: shift(stable, candidate), logP };
}

function shift(stable: Counted, candidate: Counted): number | null {
  if (stable.sketch.kind !== 'numeric' || candidate.sketch.kind !== 'numeric') return null;
  const before = stable.sketch.moments;
  const now = candidate.sketch.moments;
  if (before.count === 0 || now.count === 0 || before.mean === now.mean) return 0;
  return Math.abs(now.mean - before.mean) / Math.sqrt(Math.max(variance(before), 1e-18));
}

function byValue(
  stable: Counted,
  candidate: Counted,
  stableValues: readonly (number | string)[],
  candidateValues: readonly (number | string)[],
): Gap {
  // Only values both dictionaries count: elsewhere one side calls "unseen" what the other names.
  const common = stableValues.filter((value) => candidateValues.includes(value));
  const before = rest(
    stable.sketch,
    common.map((value) => stableValues.indexOf(value)),
  );
  const now = rest(
    candidate.sketch,
    common.map((value) => candidateValues.indexOf(value)),
  );
  return { psi: debiasedPsi(before, now), meanShift: null, logP: chiSquare(before, now).logP };
}

/** Counts at `places`, then everything else that was a value, then missing. */
function rest(sketch: FeatureSketch, places: readonly number[]): Float64Array {
  const named = places.map((place) => sketch.counts[place]);
  const unseen = sketch.kind === 'numeric' ? sketch.nonFinite : sketch.unseen;
  const all = sketch.counts.reduce((sum, count) => sum + count, unseen);
  const others = all - named.reduce((sum, count) => sum + count, 0);
  return Float64Array.of(...named, others, sketch.missing);
}
