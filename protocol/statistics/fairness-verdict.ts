import {
  alwaysValidGap,
  alwaysValidRatio,
  halfWidth,
  MIN_EVENTS,
  started,
} from './confidence-sequence.ts';
import type { Trials } from './trials.ts';
import type { Interval } from './wilson.ts';

/** `insufficient` is an answer: nobody can say yet, and `rowsStillNeeded` says how many rows would do. */
export type GapVerdict = 'violates' | 'complies' | 'insufficient';

/** `violates` when the whole sequence of a difference lies beyond ±limit, `complies` when it lies within. */
export function judgeGap(sequence: Interval | null, limit: number): GapVerdict {
  if (sequence === null) return 'insufficient';
  if (sequence.low > limit || sequence.high < -limit) return 'violates';
  return sequence.high < limit && sequence.low > -limit ? 'complies' : 'insufficient';
}

/** `violates` when the whole sequence of a ratio lies below `limit` (four fifths: 0.8) or above 1 / limit. */
export function judgeRatio(sequence: Interval | null, limit: number): GapVerdict {
  if (sequence === null) return 'insufficient';
  if (sequence.high < limit || sequence.low > 1 / limit) return 'violates';
  return sequence.low > limit && sequence.high < 1 / limit ? 'complies' : 'insufficient';
}

/** One violation is enough; compliance needs all, and at least one. */
export function jointVerdict(verdicts: readonly GapVerdict[]): GapVerdict {
  if (verdicts.includes('violates')) return 'violates';
  return verdicts.length > 0 && verdicts.every((verdict) => verdict === 'complies')
    ? 'complies'
    : 'insufficient';
}

export interface ParityLimits {
  /** Largest difference of rates; 0.1 by convention. */
  readonly difference: number;
  /** Smallest ratio of rates; 0.8, the four-fifths rule of the EEOC's Uniform Guidelines of 1978. */
  readonly ratio: number;
}

export interface Parity {
  readonly verdict: GapVerdict;
  readonly differences: readonly GapVerdict[];
  readonly ratios: readonly GapVerdict[];
}

/** Chance of a false `violates` over all groups and all time, of each of the two questions. */
const ALPHA = 0.05;

/**
 * Whether one rate (selection, TPR, FPR) is alike in all groups, each held against `reference`. Confidence sequences at
 * ALPHA over the number of groups: a fair model violates with a chance below ALPHA, whoever looks however often. (At a
 * 95 % Newcombe interval every five minutes for a week, half of all fair models do: `research/monitoring.md` 4.1.)
 */
export function judgeParity(
  groups: readonly Trials[],
  reference: Trials,
  limits: ParityLimits,
): Parity {
  const alpha = ALPHA / Math.max(1, groups.length);
  const differences = groups.map((group) =>
    judgeGap(alwaysValidGap(group, reference, alpha), limits.difference),
  );
  const ratios = groups.map((group) =>
    judgeRatio(alwaysValidRatio(group, reference, alpha), limits.ratio),
  );
  return { verdict: jointVerdict([...differences, ...ratios]), differences, ratios };
}

/** A gap nearer to the limit than this share of it takes for ever to decide; what is said is for one this far away. */
const NEAREST = 0.25;

/**
 * About how many more rows `group` needs until its difference to `reference` is judged, if rates and mix stay as they
 * are: until the sequence is narrower than the way from the difference to the nearer limit. 0 when it is already.
 *
 * @param alpha as given to `alwaysValidGap`
 */
export function rowsStillNeeded(
  group: Trials,
  reference: Trials,
  limit: number,
  alpha: number,
): number {
  const [p, q] = [guessed(group), guessed(reference)];
  const margin = Math.max(Math.abs(limit - Math.abs(p - q)), NEAREST * limit);
  // With no row yet, the two are taken to grow alike.
  const rows = Math.max(1, group.trials);
  const others = group.trials === 0 ? rows : Math.max(1, reference.trials);
  const variance = (p * (1 - p)) / rows + (q * (1 - q)) / others;
  const growth = growthUntil(margin, variance, alpha);
  const toStart = Math.max(lacking(group, p), (lacking(reference, q) * rows) / others);
  return Math.max(0, Math.ceil(Math.max(rows * growth - group.trials, toStart)));
}

/** A rate with one more hit and miss: 0 of 3 rows is no certainty. */
function guessed({ hits, trials }: Trials): number {
  return (hits + 1) / (trials + 2);
}

/** Rows until a side may enter a sequence. */
function lacking(side: Trials, rate: number): number {
  if (started(side)) return 0;
  const misses = side.trials - side.hits;
  return Math.max((MIN_EVENTS - side.hits) / rate, (MIN_EVENTS - misses) / (1 - rate));
}

/** By what factor both sides must grow until the half width is at most `margin`: bisection on a logarithm. */
function growthUntil(margin: number, variance: number, alpha: number): number {
  let [low, high] = [0, MAX_DOUBLINGS];
  if (halfWidth(variance, alpha) <= margin) return 1;
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2;
    if (halfWidth(variance / 2 ** middle, alpha) <= margin) high = middle;
    else low = middle;
  }
  return 2 ** high;
}

const MAX_DOUBLINGS = 64;
const BISECTIONS = 40;
