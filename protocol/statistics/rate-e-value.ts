import { SketchError } from '../sketch/error.ts';
import { logMeanExp } from './log-sum.ts';
import { wilsonInterval } from './wilson.ts';

/** Rates that a change may lead to: multiples of the tolerated one, steps above it, parts of the way to 1. */
const MULTIPLES = [1.1, 1.25, 1.5, 2, 3];
const STEPS = [0.1, 0.2];
const PARTS = [0.25, 0.5, 0.75];
/** A likelihood ratio of a rate of 1 would be ln 0 at the first row that went well. */
const HIGHEST = 0.98;

/**
 * What a reference tolerates: the upper end of its 95 % Wilson interval, so that the chance in the reference is counted
 * in. At most 0.98: of a rate above that there is nothing worse to find.
 *
 * @throws SketchError `value` unless 0 <= events <= trials
 */
export function toleratedRate(events: number, trials: number): number {
  return Math.min(HIGHEST, wilsonInterval(events, trials).high);
}

/**
 * The rates q_j that evidence against `tolerated` looks for; always as many, so that states of one stream stay
 * comparable when the tolerated rate is measured anew.
 *
 * The specification has the multiples and steps (`research/monitoring.md` (iii) D); the parts are ours: with a tolerated
 * rate of 0.0002 its largest q would be 0.2, and a sensor that dies is a rate of 1.
 *
 * @throws SketchError `value` unless 0 < tolerated < 1
 */
export function alternativeRates(tolerated: number): readonly number[] {
  requireTolerated(tolerated);
  const highest = Math.max(HIGHEST, (1 + tolerated) / 2);
  return [
    ...MULTIPLES.map((by) => tolerated * by),
    ...STEPS.map((by) => tolerated + by),
    ...PARTS.map((part) => tolerated + part * (1 - tolerated)),
  ].map((rate) => Math.min(rate, highest));
}

/**
 * ln of the likelihood ratio of each alternative rate against the tolerated one, for a block of rows:
 *
 *     ln L_j = s (k ln(q_j / p0) + (n − k) ln((1 − q_j) / (1 − p0)))
 *
 * Each is an e-value for every true rate up to p0 (its mean grows with the rate and is 1 at p0), so a Shiryaev–Roberts
 * detector per q_j and the mean over them keep their budget. One-sided: fewer events than tolerated are no evidence.
 * Assumes rows that are independent given the past; `share` s < 1 is for rows that are not, and by Jensen's inequality
 * L^s is an e-value wherever L is.
 *
 * @param share effective rows over rows, above 0, at most 1 (`effectiveShare`)
 * @throws SketchError `value` unless 0 <= events <= trials, 0 < tolerated < 1 and 0 < share <= 1
 */
export function rateEvidence(
  { events, trials }: { readonly events: number; readonly trials: number },
  tolerated: number,
  share = 1,
): readonly number[] {
  if (!(events >= 0 && events <= trials && trials < Infinity)) {
    throw new SketchError('value', `${events} of ${trials}: must be 0 <= events <= trials`);
  }
  requireShare(share);
  return alternativeRates(tolerated).map(
    (q) =>
      share *
      (events * Math.log(q / tolerated) + (trials - events) * Math.log((1 - q) / (1 - tolerated))),
  );
}

/** The same as one number, for a stream with one state: ln of the mean of the likelihood ratios. */
export function logRateEvidence(
  rate: { readonly events: number; readonly trials: number },
  tolerated: number,
  share = 1,
): number {
  return logMeanExp(rateEvidence(rate, tolerated, share));
}

/** @throws SketchError `value` */
export function requireTolerated(tolerated: number): void {
  if (!(tolerated > 0 && tolerated < 1)) {
    throw new SketchError(
      'value',
      `tolerated rate ${tolerated}: must be above 0 and below 1; take the upper end of an interval`,
    );
  }
}

/** @throws SketchError `value` */
export function requireShare(share: number): void {
  if (!(share > 0 && share <= 1)) {
    throw new SketchError('value', `share ${share} of effective rows: must be above 0, at most 1`);
  }
}
