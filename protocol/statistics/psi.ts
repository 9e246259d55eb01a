import { pairCells } from './cells.ts';
import { chiSquareLogSurvival } from './chi-square.ts';

/**
 * Population stability index Σ (q − p) ln(q / p), in nats, over the cells that either side has
 * anything in. Half a count is added to each such cell, p = (r + ½) / (m + B / 2), so that an
 * empty cell gives a large number and not an infinite one (`research/monitoring.md` (iii) C1).
 * 0 when a side has no rows: look at the rows before believing it.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function psi(reference: Float64Array, current: Float64Array): number {
  const { occupied, referenceRows, currentRows } = pairCells(reference, current);
  if (referenceRows === 0 || currentRows === 0) return 0;
  const smoothing = occupied.length / 2;
  let sum = 0;
  for (const k of occupied) {
    const p = (reference[k] + 0.5) / (referenceRows + smoothing);
    const q = (current[k] + 0.5) / (currentRows + smoothing);
    sum += (q - p) * Math.log(q / p);
  }
  return sum;
}

/**
 * PSI less what two samples of the same distribution show on average, (B − 1)(1/n + 1/m), and at
 * least 0. Under no drift PSI ≈ (1/n + 1/m) χ²(B − 1) (Yurdakul 2018), so raw PSI of a small
 * window passes the customary 0.1 all by itself: this is the one to compare with a floor.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function debiasedPsi(reference: Float64Array, current: Float64Array): number {
  const { occupied, referenceRows, currentRows } = pairCells(reference, current);
  if (referenceRows === 0 || currentRows === 0) return 0;
  const bias = (occupied.length - 1) * (1 / referenceRows + 1 / currentRows);
  return Math.max(0, psi(reference, current) - bias);
}

/**
 * ln of the p-value of "both were drawn from one distribution" from PSI itself: PSI / (1/n + 1/m) against χ²(B − 1)
 * (Yurdakul 2018). Assumes that every cell expects a few rows in both samples; `chiSquare`, which pools cells until that
 * is so, is what verdicts are made on. 0 when a side has no rows.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function psiLogP(reference: Float64Array, current: Float64Array): number {
  const { occupied, referenceRows, currentRows } = pairCells(reference, current);
  if (referenceRows === 0 || currentRows === 0 || occupied.length < 2) return 0;
  const scale = 1 / referenceRows + 1 / currentRows;
  return chiSquareLogSurvival(psi(reference, current) / scale, occupied.length - 1);
}
