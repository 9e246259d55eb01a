/**
 * Evidence against "both arms are the same", gathered step by step from e-values, for a change
 * that may begin at any step k:
 *
 *     E_t = Σ_{k ≤ t} w_k e_k e_{k+1} … e_t + Σ_{k > t} w_k,    w_k = 1 / (k (k + 1))
 *
 * A plain product forgets nothing: each quiet step multiplies it by about ½, and a fault that
 * shows after an hour would have to make up for all of them. This mixture over start times is
 * still an e-process (weights add up to 1), so P(E ever ≥ 1000) ≤ 1/1000 however often one looks,
 * and a late start costs ln k (k + 1) instead of everything seen before.
 */
export interface EProcess {
  readonly steps: number;
  /** ln of the first sum; null (JSON has no -Infinity) before the first step. */
  readonly logStarted: number | null;
}

export const NO_EVIDENCE: EProcess = { steps: 0, logStarted: null };

export function addEvidence(process: EProcess, logE: number): EProcess {
  const steps = process.steps + 1;
  const logWeight = -Math.log(steps) - Math.log(steps + 1);
  const sum = process.logStarted === null ? logWeight : logAdd(process.logStarted, logWeight);
  return { steps, logStarted: sum + logE };
}

/** ln E. 0 when nothing was seen. */
export function logEvidence(process: EProcess): number {
  if (process.logStarted === null) return 0;
  return logAdd(process.logStarted, -Math.log(process.steps + 1));
}

/** ln(e^a + e^b) without overflow. */
export function logAdd(a: number, b: number): number {
  const high = Math.max(a, b);
  return Math.abs(high) === Infinity ? high : high + Math.log1p(Math.exp(-Math.abs(a - b)));
}
