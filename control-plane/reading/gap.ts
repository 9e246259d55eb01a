import { type Interval, wilsonInterval, Z_95 } from '../../protocol/statistics/wilson.ts';

/** Hits of trials: a rate that knows how sure it is. */
export interface Trials {
  readonly hits: number;
  readonly trials: number;
}

export type GapVerdict = 'violates' | 'complies' | 'insufficient';

/** A confidence sequence starts when each side has so many hits and so many misses ((iii) F). */
const MIN_EVENTS = 10;

/**
 * ρ of the normal mixture: 3 × the information of two groups of 20 at rate ½, where a sequence can first start.
 * Fixed in advance, so that looking at it again and again stays valid.
 */
const RHO = 120;

/** For a power of 80 % at 5 %: 1.96 + 0.84. */
const Z_POWER = 2.8;

export function rateOf({ hits, trials }: Trials): number {
  return trials === 0 ? 0 : hits / trials;
}

/** Interval of a − b from the two Wilson intervals (Newcombe 1998, method 10); 95 % unless `z` says otherwise. */
export function newcombe(a: Trials, b: Trials, z = Z_95): Interval {
  const [p, q] = [rateOf(a), rateOf(b)];
  const [first, second] = [
    wilsonInterval(a.hits, a.trials, z),
    wilsonInterval(b.hits, b.trials, z),
  ];
  const difference = p - q;
  return {
    low: difference - Math.hypot(p - first.low, second.high - q),
    high: difference + Math.hypot(first.high - p, q - second.low),
  };
}

/**
 * Interval of a − b that holds at all times at once with probability 1 − alpha, however often one looks: asymptotic
 * confidence sequence by normal mixture (`research/monitoring.md` (iii) F),
 *
 *     u(V) = √((V + ρ) ln((V + ρ) / (ρ α²))) / V,  V = 1 / (p(1−p)/n + q(1−q)/m)
 *
 * Null until each side has MIN_EVENTS hits and misses: before that it is not near normal.
 */
export function alwaysValidGap(a: Trials, b: Trials, alpha: number): Interval | null {
  if (!started(a) || !started(b)) return null;
  const [p, q] = [rateOf(a), rateOf(b)];
  const half = halfWidth((p * (1 - p)) / a.trials + (q * (1 - q)) / b.trials, alpha);
  return { low: p - q - half, high: p - q + half };
}

/** The same for the ratio a / b, on its logarithm (delta method). */
export function alwaysValidRatio(a: Trials, b: Trials, alpha: number): Interval | null {
  if (!started(a) || !started(b)) return null;
  const [p, q] = [rateOf(a), rateOf(b)];
  const half = halfWidth((1 - p) / a.hits + (1 - q) / b.hits, alpha);
  const log = Math.log(p / q);
  return { low: Math.exp(log - half), high: Math.exp(log + half) };
}

/** `violates` when the whole sequence lies outside ±limit, `complies` when it lies inside. */
export function judgeGap(sequence: Interval | null, limit: number): GapVerdict {
  if (sequence === null) return 'insufficient';
  if (sequence.low > limit || sequence.high < -limit) return 'violates';
  return sequence.high < limit && sequence.low > -limit ? 'complies' : 'insufficient';
}

/** `violates` when even the upper end is below `limit` (four fifths: 0.8) or the lower above 1 / limit. */
export function judgeRatio(sequence: Interval | null, limit: number): GapVerdict {
  if (sequence === null) return 'insufficient';
  if (sequence.high < limit || sequence.low > 1 / limit) return 'violates';
  return sequence.low > limit && sequence.high < 1 / limit ? 'complies' : 'insufficient';
}

/** Rows that a group still lacks to tell a gap of `limit` from none, n ≈ 2 p(1 − p)(1.96 + 0.84)² / limit². */
export function rowsStillNeeded(group: Trials, limit: number): number {
  // A rate of 0 or 1 of few rows says nothing of the variance: ½ is the worst.
  const p = started(group) ? rateOf(group) : 0.5;
  return Math.max(0, Math.ceil((2 * p * (1 - p) * Z_POWER ** 2) / limit ** 2) - group.trials);
}

function started({ hits, trials }: Trials): boolean {
  return Math.min(hits, trials - hits) >= MIN_EVENTS;
}

function halfWidth(varianceOfGap: number, alpha: number): number {
  const v = 1 / varianceOfGap;
  return Math.sqrt((v + RHO) * Math.log((v + RHO) / (RHO * alpha * alpha))) / v;
}
