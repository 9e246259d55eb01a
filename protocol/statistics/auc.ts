import { type Interval, Z_95 } from './wilson.ts';

/** Rows of one bin of the score by truth; bins in ascending order of score. Expected counts do as well as counted ones. */
export interface TruthBin {
  readonly ones: number;
  readonly zeros: number;
}

export interface Estimated extends Interval {
  readonly value: number;
}

/**
 * Area under the ROC curve as the probability that a row of class 1 scores above one of class 0 (Mann and Whitney 1947),
 * rows of one bin counting ½. Binning of B uniform bins moves it by at most half the share of pairs that fall into one
 * bin. Null without both classes.
 */
export function aucOf(bins: readonly TruthBin[]): number | null {
  let below = 0;
  let pairs = 0;
  let ones = 0;
  for (const bin of bins) {
    pairs += bin.ones * (below + bin.zeros / 2);
    below += bin.zeros;
    ones += bin.ones;
  }
  return ones === 0 || below === 0 ? null : pairs / (ones * below);
}

/**
 * AUC with its 95 % interval by the variance of DeLong, DeLong and Clarke-Pearson 1988, which no assumption about the
 * shape of the scores goes into; exact for binned scores. Null without two rows of each class.
 */
export function deLong(bins: readonly TruthBin[], z = Z_95): Estimated | null {
  const auc = aucOf(bins);
  const ones = bins.reduce((sum, bin) => sum + bin.ones, 0);
  const zeros = bins.reduce((sum, bin) => sum + bin.zeros, 0);
  if (auc === null || ones < 2 || zeros < 2) return null;
  let [zerosBelow, onesBelow] = [0, 0];
  let [scatterOfOnes, scatterOfZeros] = [0, 0];
  for (const bin of bins) {
    const beaten = (zerosBelow + bin.zeros / 2) / zeros;
    const beatenBy = (ones - onesBelow - bin.ones / 2) / ones;
    scatterOfOnes += bin.ones * (beaten - auc) ** 2;
    scatterOfZeros += bin.zeros * (beatenBy - auc) ** 2;
    zerosBelow += bin.zeros;
    onesBelow += bin.ones;
  }
  const variance = scatterOfOnes / ((ones - 1) * ones) + scatterOfZeros / ((zeros - 1) * zeros);
  return around(auc, z * Math.sqrt(variance));
}

/**
 * An AUC with its 95 % interval by the variance of Hanley and McNeil 1982, which needs the numbers of rows alone and
 * assumes exponential scores. For expected counts, where DeLong's would be of a sample that nobody drew.
 */
export function hanleyMcNeil(auc: number, ones: number, zeros: number, z = Z_95): Estimated {
  if (!(ones > 0 && zeros > 0)) return { value: auc, low: 0, high: 1 };
  const q1 = auc / (2 - auc);
  const q2 = (2 * auc * auc) / (1 + auc);
  const square = auc * auc;
  const sum = auc * (1 - auc) + (ones - 1) * (q1 - square) + (zeros - 1) * (q2 - square);
  return around(auc, z * Math.sqrt(Math.max(0, sum) / (ones * zeros)));
}

function around(value: number, half: number): Estimated {
  return { value, low: Math.max(0, value - half), high: Math.min(1, value + half) };
}
