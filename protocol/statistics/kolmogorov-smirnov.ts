import { pairCells } from './cells.ts';

export interface KolmogorovSmirnovResult {
  /** Largest gap between the two cumulative distributions, 0 to 1. */
  readonly statistic: number;
  /** 0 below about 1e-308: `logP` still tells. */
  readonly pValue: number;
  /** ln of the p-value. */
  readonly logP: number;
}

/**
 * Two-sample Kolmogorov–Smirnov test on ordered bins. The gap is exact at the edges and so at
 * most the true gap: it errs towards no drift, by at most the mass of the heaviest bin. p-value by
 * the asymptotic law of √(nm / (n + m)) · D, which for binned data errs to the same side.
 * Without rows on both sides: no gap, p = 1.
 *
 * @throws SketchError `shape` when the lengths differ
 */
export function kolmogorovSmirnov(
  reference: Float64Array,
  current: Float64Array,
): KolmogorovSmirnovResult {
  const { referenceRows: m, currentRows: n } = pairCells(reference, current);
  if (m === 0 || n === 0) return { statistic: 0, pValue: 1, logP: 0 };
  let below = 0;
  let belowCurrent = 0;
  let statistic = 0;
  for (let k = 0; k < reference.length; k += 1) {
    below += reference[k];
    belowCurrent += current[k];
    statistic = Math.max(statistic, Math.abs(belowCurrent / n - below / m));
  }
  const logP = kolmogorovLogSurvival(Math.sqrt((n * m) / (n + m)) * statistic);
  return { statistic, pValue: Math.exp(logP), logP };
}

/** Either series gives full precision here with five terms (Marsaglia, Tsang, Wang 2003). */
const SERIES_SWITCH = 1.18;
const TERMS = 5;

/**
 * ln P(K >= t) of the Kolmogorov distribution, t >= 0. Above the switch
 * 2 Σ (−1)^(k−1) e^(−2k²t²), below it 1 − √(2π)/t · Σ e^(−(2k−1)²π² / (8t²)), whose terms do not
 * cancel there.
 */
export function kolmogorovLogSurvival(t: number): number {
  if (t <= 0) return 0;
  if (t < SERIES_SWITCH) {
    const exponent = (Math.PI * Math.PI) / (8 * t * t);
    let sum = 0;
    for (let k = 1; k <= TERMS; k += 1) sum += Math.exp(-((2 * k - 1) ** 2) * exponent);
    return Math.log1p((-Math.sqrt(2 * Math.PI) / t) * sum);
  }
  const square = t * t;
  // Terms after the first, divided by the first: those never underflow before it matters.
  let rest = 0;
  for (let k = 2; k <= TERMS; k += 1) {
    rest += (k % 2 === 0 ? -1 : 1) * Math.exp(-2 * (k * k - 1) * square);
  }
  return Math.min(0, Math.LN2 - 2 * square + Math.log1p(rest));
}
