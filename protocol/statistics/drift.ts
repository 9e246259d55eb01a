import { SketchError } from '../sketch/error.ts';
import { HASH_BUCKETS } from '../sketch/hashed.ts';
import type { FeatureGrid, FeatureSketch } from '../sketch/window.ts';
import { chiSquare } from './chi-square.ts';
import { jensenShannon } from './jensen-shannon.ts';
import { kolmogorovSmirnov } from './kolmogorov-smirnov.ts';
import { lInfinity } from './l-infinity.ts';
import { debiasedPsi, psi } from './psi.ts';
import { wasserstein } from './wasserstein.ts';

/** One number for each side of a comparison. */
export interface Sides {
  readonly reference: number;
  readonly current: number;
}

/**
 * How far a feature moved from its reference, and how surely. `logP` says whether there is
 * evidence, the distances how large the change is: a verdict needs both. With no rows on a side
 * every distance is 0 and `logP` is 0, so look at `rows` first.
 */
export interface DriftMeasure {
  /** All rows, missing ones included. */
  readonly rows: Sides;
  readonly psi: number;
  readonly psiDebiased: number;
  /** Largest CDF gap among the finite values; null for categories, which have no order. */
  readonly ks: number | null;
  /** In reference σ, among the finite values; null for categories. */
  readonly wasserstein: number | null;
  readonly jensenShannon: number;
  readonly lInfinity: number;
  /** ln of the p-value of the chi-square test of homogeneity over all cells. */
  readonly logP: number;
  /** Share of all rows that are null or absent. */
  readonly missingRate: Sides;
  /** Share of all rows outside the dictionary, or, for a numeric feature, NaN or ±Inf. */
  readonly unseenRate: Sides;
}

/**
 * Compares two sketches counted on `grid`. PSI, JS, L∞ and chi-square run over the grid's cells,
 * plus one for unseen (numeric: non-finite) values and one for missing values, where either side
 * has any: a feature that became half null has drifted, whatever the other half looks like.
 *
 * @throws SketchError `shape` when the sketches and the grid differ in kind or cells
 */
export function compareFeature(
  reference: FeatureSketch,
  current: FeatureSketch,
  grid: FeatureGrid,
): DriftMeasure {
  requireCellsOf(grid, reference, 'reference');
  requireCellsOf(grid, current, 'current');
  const before = allCells(reference);
  const now = allCells(current);
  const rows = { reference: sum(before), current: sum(now) };
  const bothNumeric = reference.kind === 'numeric' && current.kind === 'numeric';
  return {
    rows,
    psi: psi(before, now),
    psiDebiased: debiasedPsi(before, now),
    ks: bothNumeric ? kolmogorovSmirnov(reference.counts, current.counts).statistic : null,
    wasserstein: bothNumeric ? wasserstein(reference, current) : null,
    jensenShannon: jensenShannon(before, now),
    lInfinity: lInfinity(before, now),
    logP: chiSquare(before, now).logP,
    missingRate: {
      reference: share(reference.missing, rows.reference),
      current: share(current.missing, rows.current),
    },
    unseenRate: {
      reference: share(unseenOf(reference), rows.reference),
      current: share(unseenOf(current), rows.current),
    },
  };
}

/** Counts, then unseen, then missing. Cells empty on both sides drop out of every measure. */
export function allCells(sketch: FeatureSketch): Float64Array {
  const { counts, missing } = sketch;
  const cells = new Float64Array(counts.length + 2);
  cells.set(counts);
  cells[counts.length] = unseenOf(sketch);
  cells[counts.length + 1] = missing;
  return cells;
}

function unseenOf(sketch: FeatureSketch): number {
  return sketch.kind === 'numeric' ? sketch.nonFinite : sketch.unseen;
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

function share(count: number, rows: number): number {
  return rows === 0 ? 0 : count / rows;
}

function cellsOf(grid: FeatureGrid): number {
  switch (grid.kind) {
    case 'numeric':
      return grid.edges.length + 1;
    case 'categorical':
      return grid.values.length;
    case 'hashed':
      return HASH_BUCKETS;
  }
}

/** @throws SketchError `shape` */
export function requireCellsOf(grid: FeatureGrid, sketch: FeatureSketch, side: string): void {
  const cells = cellsOf(grid);
  if (sketch.kind === grid.kind && sketch.counts.length === cells) return;
  throw new SketchError(
    'shape',
    `${side}: ${sketch.kind} with ${sketch.counts.length} cells, ` +
      `the grid is ${grid.kind} with ${cells}`,
  );
}
