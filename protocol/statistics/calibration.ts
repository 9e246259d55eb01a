import { calibrated, type IsotonicMap } from './isotonic.ts';
import { meanScore, type ScoreBin } from './score-bins.ts';

export interface Calibration {
  readonly labelled: number;
  /** ECE = Σ (n_b / n) |ȳ_b − p̄_b| (Naeini, Cooper and Hauskrecht 2015). Grows with chance: see `expectedByChance`. */
  readonly error: number;
  /**
   * What the ECE of a perfectly calibrated model would be on average with so many labels per bin: √(2/π) of the binomial
   * standard error of each. An ECE near it is no miscalibration.
   */
  readonly expectedByChance: number;
  /** The largest |ȳ_b − p̄_b|, over bins with at least MIN_BIN labels; 0 without such. */
  readonly largest: number;
  /** E[y] − E[score] over labelled rows: calibration in the large. Above 0: the scores are too low. */
  readonly inTheLarge: number;
}

/** Labels without which a bin's own gap is noise. */
const MIN_BIN = 20;
/** Mean of |Z|. */
const MEAN_ABSOLUTE = Math.sqrt(2 / Math.PI);

/**
 * How well scores, or what `map` makes of them, tell the probability of y = 1. p̄_b is the mean of all rows of a bin,
 * which is that of the labelled ones where labels were asked for at random. Null without a label.
 */
export function calibrationOf(
  bins: readonly ScoreBin[],
  map: IsotonicMap | null = null,
): Calibration | null {
  let [labelled, error, chance, largest, residual] = [0, 0, 0, 0, 0];
  for (const [at, { labelled0, labelled1 }] of bins.entries()) {
    const rows = labelled0 + labelled1;
    if (rows === 0) continue;
    const p = calibrated(map, meanScore(bins, at));
    const gap = labelled1 / rows - p;
    labelled += rows;
    error += rows * Math.abs(gap);
    chance += rows * MEAN_ABSOLUTE * Math.sqrt((p * (1 - p)) / rows);
    residual += rows * gap;
    if (rows >= MIN_BIN) largest = Math.max(largest, Math.abs(gap));
  }
  if (labelled === 0) return null;
  return {
    labelled,
    error: error / labelled,
    expectedByChance: chance / labelled,
    largest,
    inTheLarge: residual / labelled,
  };
}
