/**
 * All windows are compared with one reference, whose own chance is found again in each of them: an e-value that counts it
 * as fresh chance each time is none. Were the reference ten times larger it would hardly matter, so a window never counts
 * as more rows than a tenth of it (`research/monitoring.md` (iii) C7).
 */
const REFERENCE_FACTOR = 10;

/** Rows of a window, at most a tenth of the reference's. */
export function countedRows(referenceRows: number, rows: number): number {
  return Math.min(rows, referenceRows / REFERENCE_FACTOR);
}
