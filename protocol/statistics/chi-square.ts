import { pairCells } from './cells.ts';
import { logUpperGamma } from './gamma.ts';

export interface ChiSquareResult {
  readonly statistic: number;
  /** Degrees of freedom: cells left after pooling, less one. */
  readonly df: number;
  /** 0 below about 1e-308: `logP` still tells. */
  readonly pValue: number;
  /** ln of the p-value. */
  readonly logP: number;
}

/** Cochran's rule: below this the statistic is not chi-square distributed. */
const MIN_EXPECTED = 5;

/**
 * Two-sample chi-square test of homogeneity: Σ over both rows (O − E)² / E, where E comes from
 * both samples together (`research/monitoring.md` (iii) C2). A goodness-of-fit test would take
 * the reference for exact, and divides by zero at a category the reference lacks.
 *
 * Neighbouring cells are pooled from the left until each expects MIN_EXPECTED in both rows; what
 * is left over joins the last one. With fewer than two cells there is no evidence: p = 1.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function chiSquare(reference: Float64Array, current: Float64Array): ChiSquareResult {
  const { referenceRows: m, currentRows: n } = pairCells(reference, current);
  const leastTotal = (MIN_EXPECTED * (m + n)) / Math.min(m, n);
  const pooled = pool(reference, current, leastTotal);
  if (pooled.cells < 2) return { statistic: 0, df: 0, pValue: 1, logP: 0 };
  let statistic = 0;
  for (let k = 0; k < pooled.cells; k += 1) {
    const [before, now] = [pooled.reference[k], pooled.current[k]];
    // (O − E)² / E summed over the two rows, without cancellation.
    const gap = before * (n / m) - now;
    statistic += ((gap * gap) / (before + now)) * (m / n);
  }
  const df = pooled.cells - 1;
  const logP = chiSquareLogSurvival(statistic, df);
  return { statistic, df, pValue: Math.exp(logP), logP };
}

/** ln P(χ²(df) >= statistic); df >= 1, statistic >= 0. Exact far beyond the smallest float64. */
export function chiSquareLogSurvival(statistic: number, df: number): number {
  return logUpperGamma(df / 2, statistic / 2);
}

interface Pooled {
  readonly cells: number;
  readonly reference: Float64Array;
  readonly current: Float64Array;
}

/** @param leastTotal both rows together, at which the smaller row expects MIN_EXPECTED */
function pool(reference: Float64Array, current: Float64Array, leastTotal: number): Pooled {
  const pooled = {
    cells: 0,
    reference: new Float64Array(reference.length),
    current: new Float64Array(reference.length),
  };
  let [before, now] = [0, 0];
  for (let k = 0; k < reference.length; k += 1) {
    before += reference[k];
    now += current[k];
    if (before + now < leastTotal) continue;
    pooled.reference[pooled.cells] = before;
    pooled.current[pooled.cells] = now;
    pooled.cells += 1;
    [before, now] = [0, 0];
  }
  if (pooled.cells > 0) {
    pooled.reference[pooled.cells - 1] += before;
    pooled.current[pooled.cells - 1] += now;
  }
  return pooled;
}
