import { aucOf, type Estimated, hanleyMcNeil } from './auc.ts';
import { calibrated, type IsotonicMap } from './isotonic.ts';
import { meanScore, type ScoreBin } from './score-bins.ts';
import { Z_95 } from './wilson.ts';

/** What confidence-based performance estimation says of rows without labels. Intervals: see `estimatePerformance`. */
export interface PerformanceEstimate {
  readonly rows: number;
  /** Expected counts. */
  readonly confusion: {
    readonly tp: number;
    readonly fp: number;
    readonly fn: number;
    readonly tn: number;
  };
  readonly accuracy: number;
  /** 95 % half width of the accuracy. */
  readonly halfWidth: number;
  /** Null where nothing was predicted, or expected, to be positive. */
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
  /** Null unless both classes are expected. */
  readonly auc: number | null;
  readonly intervals: {
    readonly accuracy: Estimated;
    readonly precision: Estimated | null;
    readonly recall: Estimated | null;
    readonly f1: Estimated | null;
    readonly auc: Estimated | null;
  };
}

/**
 * CBPE from score × prediction counts alone: with q the calibrated probability of a bin, a row predicted positive is
 * right with q, one predicted negative with 1 − q (NannyML's estimator, on bins; `research/monitoring.md` (iii) E: 64 bins
 * reproduce it within 0.006 of accuracy and 0.008 of AUC).
 *
 * Assumes that score and label still belong together as in the labels behind `map`: it sees a change of the inputs and
 * not of the concept, which is what `trustOf` is for. The intervals are 95 %, of the labels' chance given q (accuracy and
 * precision √Σ q(1−q), recall and F1 by the delta method, AUC by Hanley and McNeil), not of a broken assumption.
 *
 * @returns null without rows
 */
export function estimatePerformance(
  bins: readonly ScoreBin[],
  map: IsotonicMap | null,
): PerformanceEstimate | null {
  const parts = bins.flatMap(({ negative, positive }, at) => {
    if (negative + positive === 0) return [];
    return [{ negative, positive, q: calibrated(map, meanScore(bins, at)) }];
  });
  if (parts.length === 0) return null;
  const sum = (of: (part: Part) => number) => parts.reduce((total, part) => total + of(part), 0);
  const tp = sum(({ positive, q }) => positive * q);
  const fp = sum(({ positive, q }) => positive * (1 - q));
  const fn = sum(({ negative, q }) => negative * q);
  const tn = sum(({ negative, q }) => negative * (1 - q));
  const rows = tp + fp + fn + tn;
  const accuracy = (tp + tn) / rows;
  const recall = ratio(tp, tp + fn);
  const f1 = ratio(2 * tp, 2 * tp + fp + fn);
  /** Variance of Σ (weight of a hit at a positive row, at a negative row) · y. */
  const variance = (atPositive: number, atNegative: number) =>
    sum(
      ({ positive, negative, q }) =>
        q * (1 - q) * (positive * atPositive ** 2 + negative * atNegative ** 2),
    );
  const precision = ratio(tp, tp + fp);
  const auc = aucOf(
    parts.map(({ positive, negative, q }) => ({
      ones: (positive + negative) * q,
      zeros: (positive + negative) * (1 - q),
    })),
  );
  const error = (atPositive: number, atNegative: number, whole: number) =>
    Math.sqrt(variance(atPositive, atNegative)) / whole;
  const intervals = {
    accuracy: within(accuracy, error(1, 1, rows)),
    precision: precision === null ? null : within(precision, error(1, 0, tp + fp)),
    recall: recall === null ? null : within(recall, error(1 - recall, recall, tp + fn)),
    f1: f1 === null ? null : within(f1, error(2 - f1, f1, 2 * tp + fp + fn)),
    auc: auc === null ? null : hanleyMcNeil(auc, tp + fn, fp + tn),
  };
  const halfWidth = (Z_95 * Math.sqrt(variance(1, 1))) / rows;
  const confusion = { tp, fp, fn, tn };
  return { rows, confusion, accuracy, halfWidth, precision, recall, f1, auc, intervals };
}

interface Part {
  readonly negative: number;
  readonly positive: number;
  /** Probability of y = 1. */
  readonly q: number;
}

/** Gap between estimate and truth at which the estimate is not believed at all ((iii) E). */
const TRUST_SCALE = 0.1;

/** Below this the estimate has proved wrong on labelled rows and is not to be shown ((iii) E). */
export const MIN_TRUST = 0.5;

/**
 * How far the estimate is to be believed: 1 where it agrees with the accuracy (or AUC) that labels of the same windows
 * showed, 0 where they are TRUST_SCALE apart.
 *
 * @param noise standard error of the realised value: that much of a gap is chance and costs no trust
 */
export function trustOf(estimated: number, realised: number, noise = 0): number {
  const gap = Math.max(0, Math.abs(estimated - realised) - noise);
  return 1 - Math.min(1, gap / TRUST_SCALE);
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

function within(value: number, error: number): Estimated {
  const half = Z_95 * error;
  return { value, low: Math.max(0, value - half), high: Math.min(1, value + half) };
}
