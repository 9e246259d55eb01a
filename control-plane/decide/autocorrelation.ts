import { effectiveShare } from '../../protocol/statistics/effective-rows.ts';

/**
 * Lag-1 autocorrelation of a series of window means, as running sums. Windows that resemble their neighbours (an evening,
 * a batch job) hold less information than their rows say: n rows are worth n (1 − ρ) / (1 + ρ)
 * (`research/monitoring.md` (iii) C6; Bartlett 1946).
 */
export interface Series {
  readonly count: number;
  readonly mean: number;
  /** Σ (x − mean)². */
  readonly scatter: number;
  /** Σ (x_t − mean)(x_{t−1} − mean), with the means of their times. */
  readonly cross: number;
  readonly last: number | null;
}

export const NEW_SERIES: Series = { count: 0, mean: 0, scatter: 0, cross: 0, last: null };

/** Below so many windows an autocorrelation is noise. */
const MIN_WINDOWS = 20;
/** One-sided 95 %: ρ of independent windows lies within ± this over √windows. */
const Z = 1.645;

export function addToSeries(series: Series, x: number): Series {
  const count = series.count + 1;
  const delta = x - series.mean;
  const mean = series.mean + delta / count;
  return {
    count,
    mean,
    scatter: series.scatter + delta * (x - mean),
    cross: series.cross + (series.last === null ? 0 : (x - mean) * (series.last - series.mean)),
    last: x,
  };
}

/**
 * What share of the rows counts: 1 unless the autocorrelation is above what independent windows would show, so that its
 * own estimate's noise costs no power.
 */
export function informationShare({ count, scatter, cross }: Series): number {
  if (count < MIN_WINDOWS || !(scatter > 0)) return 1;
  return effectiveShare(Math.min(1, cross / scatter) - Z / Math.sqrt(count));
}
