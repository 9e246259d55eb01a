import { SketchError } from '../sketch/error.ts';

/** Two count vectors over the same cells, and what every comparison of them needs. */
export interface CellPair {
  /** Indices of the cells that either side has anything in. */
  readonly occupied: readonly number[];
  readonly referenceRows: number;
  readonly currentRows: number;
}

/**
 * Cells that are empty on both sides are left out of every measure: they say nothing, but
 * smoothing would give them different probabilities wherever the row counts differ.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function pairCells(reference: Float64Array, current: Float64Array): CellPair {
  if (reference.length !== current.length) {
    throw new SketchError(
      'shape',
      `cannot compare ${current.length} cells with a reference of ${reference.length}`,
    );
  }
  const occupied: number[] = [];
  let referenceRows = 0;
  let currentRows = 0;
  for (let k = 0; k < reference.length; k += 1) {
    referenceRows += reference[k];
    currentRows += current[k];
    if (reference[k] > 0 || current[k] > 0) occupied.push(k);
  }
  return { occupied, referenceRows, currentRows };
}
