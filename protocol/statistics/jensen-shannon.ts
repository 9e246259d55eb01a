import { pairCells } from './cells.ts';

/**
 * Jensen–Shannon distance: the square root of the divergence in bits, so 0 for equal and 1 for
 * disjoint distributions (Endres and Schindelin 2003). The distance, as SciPy, Evidently and
 * NannyML report; Vertex reports its square. Not smoothed. 0 when a side has no rows.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function jensenShannon(reference: Float64Array, current: Float64Array): number {
  const { occupied, referenceRows, currentRows } = pairCells(reference, current);
  if (referenceRows === 0 || currentRows === 0) return 0;
  let divergence = 0;
  for (const k of occupied) {
    const p = reference[k] / referenceRows;
    const q = current[k] / currentRows;
    const middle = (p + q) / 2;
    if (p > 0) divergence += (p / 2) * Math.log2(p / middle);
    if (q > 0) divergence += (q / 2) * Math.log2(q / middle);
  }
  // Rounding can leave −1e-17 for equal distributions.
  return Math.sqrt(Math.max(0, divergence));
}
