import { SCORE_FIELDS } from '../../protocol/sketch/outcome.ts';
import { Z_95 } from '../../protocol/statistics/wilson.ts';

/** Rows of one bin of the score, by prediction and, where labels came, by truth. */
export interface ScoreBin {
  readonly negative: number;
  readonly positive: number;
  readonly scoreSum: number;
  readonly labelled0: number;
  readonly labelled1: number;
}

/** The probability of y = 1 as a non-decreasing step function of the mean score: knots in ascending order. */
export interface IsotonicMap {
  readonly scores: readonly number[];
  readonly probabilities: readonly number[];
}

/** What confidence-based performance estimation says of rows without labels. */
export interface PerformanceEstimate {
  readonly rows: number;
  readonly accuracy: number;
  /** 95 % half width of the accuracy from √(Σ H q(1−q)) / n: sampling only, not a broken assumption. */
  readonly halfWidth: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly auc: number | null;
}

export function scoreBins(scores: Float64Array): readonly ScoreBin[] {
  const width = SCORE_FIELDS.length;
  return Array.from({ length: scores.length / width }, (_, bin) => {
    const [negative, positive, scoreSum, labelled0, labelled1] = scores.subarray(
      bin * width,
      (bin + 1) * width,
    );
    return { negative, positive, scoreSum, labelled0, labelled1 };
  });
}

/**
 * Isotonic regression of the labels on the score's bins by pooling adjacent violators (Ayer et al. 1955), weighted by
 * labelled rows. Null without a label. A bin's place is its mean score.
 */
export function isotonicMap(bins: readonly ScoreBin[]): IsotonicMap | null {
  const pools: { hits: number; rows: number; places: number[] }[] = [];
  for (const bin of bins) {
    const rows = bin.labelled0 + bin.labelled1;
    const all = bin.negative + bin.positive;
    if (rows === 0 || all === 0) continue;
    pools.push({ hits: bin.labelled1, rows, places: [bin.scoreSum / all] });
    while (pools.length > 1) {
      const [before, last] = pools.slice(-2);
      if (before.hits * last.rows <= last.hits * before.rows) break;
      pools.splice(-2, 2, {
        hits: before.hits + last.hits,
        rows: before.rows + last.rows,
        places: [...before.places, ...last.places],
      });
    }
  }
  if (pools.length === 0) return null;
  return {
    scores: pools.flatMap(({ places }) => places),
    probabilities: pools.flatMap(({ hits, rows, places }) => places.map(() => hits / rows)),
  };
}

/** Linear between knots and constant beyond them; null map: the score itself is believed. */
export function calibrated(map: IsotonicMap | null, score: number): number {
  if (map === null) return score;
  const { scores, probabilities } = map;
  const above = scores.findIndex((knot) => knot >= score);
  if (above === -1) return probabilities[probabilities.length - 1];
  if (above === 0) return probabilities[0];
  const share = (score - scores[above - 1]) / (scores[above] - scores[above - 1]);
  return probabilities[above - 1] + share * (probabilities[above] - probabilities[above - 1]);
}

/**
 * CBPE from score × prediction counts alone (NannyML's estimator on bins; `research/monitoring.md` (iii) E): with q the
 * calibrated probability of a bin, a row predicted positive is right with q, one predicted negative with 1 − q. Assumes
 * that the relation of score and label is that of the baseline: it cannot see concept drift. Null without rows.
 */
export function estimatePerformance(
  bins: readonly ScoreBin[],
  map: IsotonicMap | null,
): PerformanceEstimate | null {
  let [tp, fp, fn, tn, spread] = [0, 0, 0, 0, 0];
  const truth: { ones: number; zeros: number }[] = [];
  for (const { negative, positive, scoreSum } of bins) {
    const rows = negative + positive;
    if (rows === 0) continue;
    const q = calibrated(map, scoreSum / rows);
    tp += positive * q;
    fp += positive * (1 - q);
    fn += negative * q;
    tn += negative * (1 - q);
    spread += rows * q * (1 - q);
    truth.push({ ones: rows * q, zeros: rows * (1 - q) });
  }
  const rows = tp + fp + fn + tn;
  if (rows === 0) return null;
  return {
    rows,
    accuracy: (tp + tn) / rows,
    halfWidth: (Z_95 * Math.sqrt(spread)) / rows,
    precision: tp + fp === 0 ? null : tp / (tp + fp),
    recall: tp + fn === 0 ? null : tp / (tp + fn),
    auc: aucOf(truth),
  };
}

/** Mann–Whitney over bins in ascending order of score, ties within a bin count ½. Null without both classes. */
export function aucOf(
  bins: readonly { readonly ones: number; readonly zeros: number }[],
): number | null {
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

/** Gap between estimate and truth at which the estimate is not believed at all. */
const TRUST_SCALE = 0.1;

/** 1 where estimate and realised accuracy agree, 0 where they are TRUST_SCALE apart ((iii) E). */
export function trustOf(estimated: number, realised: number): number {
  return 1 - Math.min(1, Math.abs(estimated - realised) / TRUST_SCALE);
}
