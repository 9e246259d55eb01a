import { SketchError } from '../sketch/error.ts';
import { logMeanExp } from './log-sum.ts';
import { alternativeRates, requireShare, requireTolerated } from './rate-e-value.ts';

/**
 * Stakes λ_j of wagers 1 + λ (x − m0) on a mean above m0 of values in [0, 1]: with λ = (q − m0) / (m0 (1 − m0)) the
 * wager is the likelihood ratio of the rate q where x is 0 or 1, and an e-value for any x in between (Waudby-Smith and
 * Ramdas 2024, "Estimating means of bounded random variables by betting").
 *
 * @throws SketchError `value` unless 0 < tolerated < 1
 */
export function stakesOf(tolerated: number): Float64Array {
  return Float64Array.from(
    alternativeRates(tolerated),
    (rate) => (rate - tolerated) / (tolerated * (1 - tolerated)),
  );
}

/** Scores in [0, 1] as a histogram with the sum of each bin, e.g. an evaluator's. */
export interface ScoreCounts {
  readonly counts: ArrayLike<number>;
  readonly sums: ArrayLike<number>;
}

/**
 * ln of each wager's e-value for a block of scores of which only a histogram is known, against "the mean is at most
 * `tolerated`". A bin's Σ ln(1 + λ (x − m0)) is concave in x, so it is at least the chord between the bin's ends at the
 * bin's sum: what is returned never overstates, and with narrow bins loses next to nothing.
 *
 * @param edges inner edges within [0, 1]; the outer bins end at 0 and 1
 * @throws SketchError `shape` when counts and edges do not fit, `value` as `rateEvidence`
 */
export function scoreEvidence(
  { counts, sums }: ScoreCounts,
  edges: ArrayLike<number>,
  tolerated: number,
  share = 1,
): readonly number[] {
  requireShare(share);
  if (counts.length !== edges.length + 1 || sums.length !== counts.length) {
    throw new SketchError('shape', `${counts.length} bins and ${edges.length} inner edges`);
  }
  return Array.from(stakesOf(tolerated), (stake) => {
    let logE = 0;
    for (let k = 0; k < counts.length; k += 1) {
      if (counts[k] === 0) continue;
      const low = k === 0 ? 0 : edges[k - 1];
      const high = k === edges.length ? 1 : edges[k];
      const atLow = Math.log1p(stake * (low - tolerated));
      const atHigh = Math.log1p(stake * (high - tolerated));
      // Rounding of the sum may put a mean a hair outside its bin.
      const part = clamp((sums[k] / counts[k] - low) / (high - low));
      logE += counts[k] * (atLow + part * (atHigh - atLow));
    }
    return share * logE;
  });
}

/**
 * ln of the e-value against "the mean of these values in [0, 1] is at most `tolerated`" from their sum alone. One value
 * is sub-Gaussian with variance ¼ (Hoeffding 1963), so exp(λ (S − n m0) − λ² n / 8) is an e-value for each λ > 0; the
 * mean over a grid of λ is returned. Blunt where values hardly vary: prefer `scoreEvidence`.
 *
 * @throws SketchError `value` unless 0 <= sum <= rows and as `rateEvidence`
 */
export function logMeanEvidence(
  { sum, rows }: { readonly sum: number; readonly rows: number },
  tolerated: number,
  share = 1,
): number {
  requireTolerated(tolerated);
  requireShare(share);
  // A sum of 0.1s of many rows is not exactly what the rows make it.
  if (!(sum >= -ROUNDING * rows && sum <= rows * (1 + ROUNDING) && rows < Infinity)) {
    throw new SketchError('value', `sum ${sum} of ${rows} values: must be from 0 to ${rows}`);
  }
  const excess = sum - rows * tolerated;
  return logMeanExp(GAPS.map((gap) => share * (4 * gap * excess - 2 * gap * gap * rows)));
}

const ROUNDING = 1e-9;
/** Differences of means that are looked for; the best λ for each is 4 times it. */
const GAPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4];

/**
 * ln of the e-value against "the scores are probabilities": E[y] = E[score] given the past, from S = Σ (y − score) over
 * n labelled rows. Two-sided. Given its score, y − score spans an interval of length 1, hence is sub-Gaussian with
 * variance ¼; mixing exp(λ S − λ² n / 8) over λ ~ N(0, 1/ρ) gives √(ρ / (ρ + n/4)) exp(S² / (2 (ρ + n/4))) (Robbins
 * 1970). ρ = 25 is best at 100 rows and within a few nats of the best from 10 to 100,000.
 *
 * @throws SketchError `value` unless |residualSum| <= rows
 */
export function logCalibrationEvidence({
  residualSum,
  rows,
}: {
  readonly residualSum: number;
  readonly rows: number;
}): number {
  if (!(Math.abs(residualSum) <= rows * (1 + ROUNDING) && rows < Infinity)) {
    throw new SketchError(
      'value',
      `Σ (y − score) = ${residualSum} of ${rows} rows: at most one each`,
    );
  }
  const spread = MIXING + rows / 4;
  return (Math.log(MIXING / spread) + (residualSum * residualSum) / spread) / 2;
}

const MIXING = 25;

function clamp(part: number): number {
  return Math.min(1, Math.max(0, part));
}
