/** Below this t the closed form cancels; the series has converged to float64 in 16 terms. */
const SERIES_BELOW = 0.5;
const SERIES_TERMS = 16;

/**
 * From ln p to ln e, with the calibrator e(p) = (1 − p + p ln p) / (p (ln p)²): the mixture
 * ∫ κ p^(κ−1) dκ over κ in (0, 1) (Vovk and Wang 2021, "E-values: calibration, combination and
 * applications", (2)). Its mean over uniform p is 1, so it is an e-value for any valid p-value.
 *
 * With t = −ln p it reads (e^t − 1 − t) / t², which is stable at both ends: e(1) = ½, and a p of
 * e^-2000 gives ln e = 2000 − 2 ln 2000 and not NaN.
 *
 * @param logP at most 0; what rounding leaves above is taken for 0; −Infinity gives Infinity
 */
export function logEValue(logP: number): number {
  const t = Math.max(0, -logP);
  if (t === Infinity) return Infinity;
  if (t >= SERIES_BELOW) return t + Math.log1p(-(1 + t) * Math.exp(-t)) - 2 * Math.log(t);
  let term = 0.5;
  let sum = term;
  for (let k = 1; k < SERIES_TERMS; k += 1) {
    term *= t / (k + 2);
    sum += term;
  }
  return Math.log(sum);
}
