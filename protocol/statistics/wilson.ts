import { SketchError } from '../sketch/error.ts';
import { chiSquareLogSurvival } from './chi-square.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95 % quantile of the standard normal distribution. */
export const Z_95 = 1.959963984540054;

/**
 * Wilson score interval of a rate (Wilson 1927). Unlike p ± z·se it stays within 0 to 1 and has
 * a width at 0 of n. No trials: [0, 1], nothing is known.
 *
 * @param z quantile of the normal distribution, 95 % two-sided by default
 * @throws SketchError `value` unless 0 <= successes <= trials
 */
export function wilsonInterval(successes: number, trials: number, z = Z_95): Interval {
  requireRate(successes, trials);
  if (trials === 0) return { low: 0, high: 1 };
  const rate = successes / trials;
  const square = z * z;
  const centre = (successes + square / 2) / (trials + square);
  const half = (z * Math.sqrt(trials * rate * (1 - rate) + square / 4)) / (trials + square);
  return {
    // At the ends the formula gives exactly 0 and 1, and floats nearly.
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === trials ? 1 : Math.min(1, centre + half),
  };
}

export interface ProportionTest {
  /** Rate of `current` less rate of `reference`. */
  readonly difference: number;
  /** Above 0 when the current rate is the higher one. */
  readonly z: number;
  /** Two-sided. 0 below about 1e-308: `logP` still tells. */
  readonly pValue: number;
  readonly logP: number;
}

/**
 * Two-proportion z-test with the pooled rate P: z = (q − p) / √(P (1 − P) (1/n + 1/m)). Its square
 * is the 2 × 2 chi-square without continuity correction. No evidence (z = 0, p = 1) when a side
 * has no trials or all trials agree.
 *
 * @throws SketchError `value` unless 0 <= successes <= trials on both sides
 */
export function twoProportionTest(
  reference: { readonly successes: number; readonly trials: number },
  current: { readonly successes: number; readonly trials: number },
): ProportionTest {
  requireRate(reference.successes, reference.trials);
  requireRate(current.successes, current.trials);
  if (reference.trials === 0 || current.trials === 0) {
    return { difference: 0, z: 0, pValue: 1, logP: 0 };
  }
  const difference = current.successes / current.trials - reference.successes / reference.trials;
  const pooled = (reference.successes + current.successes) / (reference.trials + current.trials);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / reference.trials + 1 / current.trials));
  if (error === 0) return { difference, z: 0, pValue: 1, logP: 0 };
  const z = difference / error;
  const logP = chiSquareLogSurvival(z * z, 1);
  return { difference, z, pValue: Math.exp(logP), logP };
}

function requireRate(successes: number, trials: number): void {
  if (!(successes >= 0 && successes <= trials && trials < Infinity)) {
    throw new SketchError('value', `${successes} of ${trials}: must be 0 <= successes <= trials`);
  }
}
