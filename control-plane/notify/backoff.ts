/** With the delays below an attempt is made for about five and a half hours, then the delivery has failed. */
export const MAX_ATTEMPTS = 14;
const FIRST_DELAY_MS = 5000;
export const MAX_DELAY_MS = 3_600_000;

/**
 * Wait after the `attempts`-th attempt (1, 2, ...): doubling, between half and the whole of it by
 * `chance` in [0, 1), so that many deliveries to one broken receiver do not return together. A receiver
 * that asks for more (`Retry-After`) gets it, up to an hour.
 */
export function backoffMs(attempts: number, chance: number, askedMs: number): number {
  const whole = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempts - 1));
  return Math.max(whole * (0.5 + chance / 2), Math.min(askedMs, MAX_DELAY_MS));
}
