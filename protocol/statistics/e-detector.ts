/**
 * Shiryaev–Roberts e-detector, M ← (M + 1) · e (Shin, Ramdas and Rinaldo 2023, "E-detectors: a
 * nonparametric framework for sequential change detection"). Alarming at M >= A, the mean number
 * of steps to a false alarm is at least A, however often one looks, whatever the distribution, as
 * long as each e has mean at most 1 given the past. The state of a stream is one number, ln M.
 */
export const INITIAL_LOG_M = -Infinity;

/** ln M after one more e-value. JSON has no −Infinity: a stream without state starts there. */
export function nextLogM(logM: number, logE: number): number {
  const logMPlusOne = Math.max(logM, 0) + Math.log1p(Math.exp(-Math.abs(logM)));
  return logMPlusOne + logE;
}

/**
 * ln A for a budget of one false alarm per `days` over all streams together:
 * A = streams × windows per day × days (`research/monitoring.md` (iii) D).
 */
export function logAlarmLevel(streams: number, windowsPerDay: number, days: number): number {
  return Math.log(streams) + Math.log(windowsPerDay) + Math.log(days);
}
