/** The least that a row is worth, however alike the windows are (`research/monitoring.md` (iii) C6). */
const FLOOR = 0.1;

/**
 * Lag-1 autocorrelation ρ₁ = Σ (x_t − x̄)(x_{t−1} − x̄) / Σ (x_t − x̄)², −1 to 1 (Box and Jenkins 1970). 0 for fewer than
 * three values, or when they never vary.
 */
export function lagOneAutocorrelation(series: ArrayLike<number>): number {
  const values = Float64Array.from(series);
  if (values.length < 3) return 0;
  const mean = values.reduce((sum, x) => sum + x / values.length, 0);
  // Scaled to the largest, so that squares of 1e200 do not overflow.
  const largest = values.reduce((most, x) => Math.max(most, Math.abs(x - mean)), 0);
  if (largest === 0) return 0;
  let cross = 0;
  let scatter = 0;
  let before = 0;
  for (const x of values) {
    const away = (x - mean) / largest;
    cross += away * before;
    scatter += away * away;
    before = away;
  }
  return cross / scatter;
}

/**
 * What share of its rows a mean of autocorrelated windows is worth: n (1 − ρ) / (1 + ρ) of n for a first-order
 * autoregressive series (Bartlett 1946). 1 unless ρ > 0: an estimate of a negative one must not create evidence.
 *
 * @param rho lag-1 autocorrelation, −1 to 1
 */
export function effectiveShare(rho: number, floor = FLOOR): number {
  return rho > 0 ? Math.max(floor, (1 - rho) / (1 + rho)) : 1;
}
