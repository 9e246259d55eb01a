import { SketchError } from './error.ts';
import type { HistogramGrid } from './grid.ts';
import { emptyNumeric, mergeNumeric, type NumericSketch } from './histogram.ts';

/**
 * How a whole tensor is watched (an embedding, an image): numbers that are read off each row, and what lies where.
 * `measures` are numeric features of a row, e.g. its norm, its reconstruction error, the mean of channel 1.
 */
export interface TensorGrid {
  readonly name: string;
  readonly measures: readonly { readonly name: string; readonly grid: HistogramGrid }[];
  /** Random Fourier features whose mean is kept, half of them cosines, half sines of the same; 0 for none. */
  readonly fourier: number;
  /** Nearest-centroid counts; 0 for none. */
  readonly centroids: number;
}

/**
 * A Fourier feature, cos or sin, is counted as a whole number of this many units: sums of whole numbers merge to the
 * same bytes in any order. Rounding adds a variance of 1/(12 · 1024²) to one of about ½.
 */
export const FOURIER_UNIT = 1024;

export interface TensorSketch {
  /** Rows that were looked at: a tensor may be sampled. */
  rows: number;
  /** A row with a NaN or ±Inf counts as non-finite in each, and nowhere else. */
  readonly measures: readonly NumericSketch[];
  /** Σ round(FOURIER_UNIT · φ) of each random Fourier feature φ over the finite rows. */
  readonly fourierSums: Float64Array;
  /** Finite rows by their nearest centroid. */
  readonly centroidCounts: Float64Array;
}

export function emptyTensorSketch(grid: TensorGrid): TensorSketch {
  return {
    rows: 0,
    measures: grid.measures.map((measure) => emptyNumeric(measure.grid)),
    fourierSums: new Float64Array(grid.fourier),
    centroidCounts: new Float64Array(grid.centroids),
  };
}

/** @throws SketchError `shape`; `into` is then unchanged */
export function mergeTensorSketch(into: TensorSketch, from: TensorSketch): void {
  requireSameTensor(into, from);
  into.rows += from.rows;
  for (const [at, measure] of into.measures.entries()) mergeNumeric(measure, from.measures[at]);
  for (let k = 0; k < into.fourierSums.length; k += 1) into.fourierSums[k] += from.fourierSums[k];
  for (let k = 0; k < into.centroidCounts.length; k += 1) {
    into.centroidCounts[k] += from.centroidCounts[k];
  }
}

/** @throws SketchError `shape` */
export function requireSameTensor(into: TensorSketch, from: TensorSketch): void {
  const same =
    into.fourierSums.length === from.fourierSums.length &&
    into.centroidCounts.length === from.centroidCounts.length &&
    into.measures.length === from.measures.length &&
    into.measures.every((measure, at) => measure.counts.length === from.measures[at].counts.length);
  if (!same) throw new SketchError('shape', 'cannot merge tensors watched in different ways');
}
