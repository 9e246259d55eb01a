import { pairCells } from './cells.ts';

/**
 * L∞ distance: the largest change of the share of one cell, 0 to 1. 0 when a side has no rows.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function lInfinity(reference: Float64Array, current: Float64Array): number {
  const { occupied, referenceRows, currentRows } = pairCells(reference, current);
  if (referenceRows === 0 || currentRows === 0) return 0;
  let largest = 0;
  for (const k of occupied) {
    const change = Math.abs(current[k] / currentRows - reference[k] / referenceRows);
    largest = Math.max(largest, change);
  }
  return largest;
}
