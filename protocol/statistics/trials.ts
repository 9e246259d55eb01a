import { type Interval, wilsonInterval, Z_95 } from './wilson.ts';

/** Hits of trials: a rate that knows how sure it is. */
export interface Trials {
  readonly hits: number;
  readonly trials: number;
}

/** 0 without trials: look at those first. */
export function rateOf({ hits, trials }: Trials): number {
  return trials === 0 ? 0 : hits / trials;
}

/**
 * Interval of the difference a − b of two independent rates, from the two Wilson intervals (Newcombe 1998, "Interval
 * estimation for the difference between independent proportions", method 10). Of one look: whoever looks again and again
 * wants `alwaysValidGap`. What is possible where one has no trials.
 *
 * @param z quantile of the normal distribution, 95 % two-sided by default
 * @throws SketchError `value` unless 0 <= hits <= trials
 */
export function newcombe(a: Trials, b: Trials, z = Z_95): Interval {
  const first = wilsonInterval(a.hits, a.trials, z);
  const second = wilsonInterval(b.hits, b.trials, z);
  if (a.trials === 0 || b.trials === 0) {
    return { low: first.low - second.high, high: first.high - second.low };
  }
  const [p, q] = [rateOf(a), rateOf(b)];
  return {
    low: p - q - Math.hypot(p - first.low, second.high - q),
    high: p - q + Math.hypot(first.high - p, q - second.low),
  };
}

/**
 * Rate of a small group drawn towards the rate of all, (k + α r) / (n + α), as if `weight` rows of the whole had been
 * seen in it. For showing: the largest of many noisy rates is too large, and this takes most of that back. Decisions are
 * made on counts.
 */
export function shrunkRate({ hits, trials }: Trials, overall: number, weight = SHRINKING): number {
  return (hits + weight * overall) / (trials + weight);
}

const SHRINKING = 20;
