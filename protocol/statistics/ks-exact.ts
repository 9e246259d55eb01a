import { logGamma } from './gamma.ts';

/**
 * ln P(D >= steps / n) of the two-sample Kolmogorov–Smirnov statistic of two samples of n values each, drawn from one
 * continuous distribution (Gnedenko and Korolyuk 1951):
 *
 *     P = 2 Σ_{i >= 1} (−1)^(i−1) C(2n, n − i h) / C(2n, n),   h = steps
 *
 * With ties it errs to no drift.
 *
 * @param steps n D, a whole number from 0 to n
 */
export function equalSamplesLogP(n: number, steps: number): number {
  if (steps <= 0) return 0;
  const middle = 2 * logGamma(n + 1);
  const logTerm = (i: number) => middle - logGamma(n - i * steps + 1) - logGamma(n + i * steps + 1);
  const first = logTerm(1);
  // Terms after the first over the first, so that a p-value of 1e-400 keeps its logarithm.
  let rest = 0;
  for (let i = 2; i * steps <= n; i += 1) {
    rest += (i % 2 === 0 ? -1 : 1) * Math.exp(logTerm(i) - first);
  }
  return Math.min(0, Math.LN2 + first + Math.log1p(rest));
}
