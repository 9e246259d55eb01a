import { rateOf, type Trials } from './trials.ts';
import type { Interval } from './wilson.ts';

/** A sequence starts when each side has so many hits and so many misses: before, a rate is not near normal. */
export const MIN_EVENTS = 10;

/**
 * Precision ρ of the normal mixture. Any number fixed in advance is valid; this one is narrowest between an information
 * of 500 and 5000, where a gap of 0.1 is decided: 3 × that of two groups of 20 rows at rate ½, the first that can start.
 */
const RHO = 120;

/**
 * Interval of the difference a − b of two rates that holds at all times at once with probability 1 − alpha, however often
 * one looks and whatever one does upon it. `a` and `b` are counted from one fixed start on (a version's first row, the
 * first of the month), never over a sliding window. Null until each side has MIN_EVENTS hits and misses.
 *
 * Asymptotic confidence sequence by a normal mixture (Robbins 1970; Waudby-Smith et al. 2024, "Time-uniform central limit
 * theory"): with the information V = 1 / (p(1−p)/n + q(1−q)/m),
 *
 *     u(V) = √((V + ρ) ln((V + ρ) / (ρ α²))) / V
 *
 * V d is a Brownian motion in V in the limit, in whatever proportion the two sides grow (Jennison and Turnbull 1997).
 *
 * Assumes rows that are independent of each other. Measured over 100,000 rows with looks at every row from the first
 * allowed one on: misses the true gap in under 5 % of streams at alpha = 0.05 down to rates of 2 %.
 */
export function alwaysValidGap(a: Trials, b: Trials, alpha: number): Interval | null {
  if (!started(a) || !started(b)) return null;
  const [p, q] = [rateOf(a), rateOf(b)];
  const half = halfWidth((p * (1 - p)) / a.trials + (q * (1 - q)) / b.trials, alpha);
  return { low: Math.max(-1, p - q - half), high: Math.min(1, p - q + half) };
}

/** The same of the ratio a / b, on its logarithm (delta method: the variance of ln p is (1 − p) / hits). */
export function alwaysValidRatio(a: Trials, b: Trials, alpha: number): Interval | null {
  if (!started(a) || !started(b)) return null;
  const [p, q] = [rateOf(a), rateOf(b)];
  const half = halfWidth((1 - p) / a.hits + (1 - q) / b.hits, alpha);
  const log = Math.log(p / q);
  return { low: Math.exp(log - half), high: Math.min(Number.MAX_VALUE, Math.exp(log + half)) };
}

/** Whether a rate may enter a sequence. */
export function started({ hits, trials }: Trials): boolean {
  return Math.min(hits, trials - hits) >= MIN_EVENTS;
}

/** u(V) of an estimate with variance 1/V; falls with V. */
export function halfWidth(variance: number, alpha: number): number {
  const information = 1 / variance;
  const mixed = information + RHO;
  // ln(α²) by itself: α of 1e-200 would make α² zero.
  const log = Math.log(mixed / RHO) - 2 * Math.log(alpha);
  return Math.sqrt(mixed * log) / information;
}
