import { quantile } from '../../protocol/sketch/latency.ts';
import { GROUP_FIELDS, type OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { deLong, type Estimated } from '../../protocol/statistics/auc.ts';
import { calibrationOf } from '../../protocol/statistics/calibration.ts';
import {
  estimatePerformance,
  MIN_TRUST,
  type PerformanceEstimate,
  trustOf,
} from '../../protocol/statistics/cbpe.ts';
import { binaryMetrics, multiclassMetrics } from '../../protocol/statistics/classification.ts';
import type { IsotonicMap } from '../../protocol/statistics/isotonic.ts';
import { manskiBounds } from '../../protocol/statistics/manski.ts';
import { type RegressionMetrics, regressionMetrics } from '../../protocol/statistics/regression.ts';
import { scoreBins } from '../../protocol/statistics/score-bins.ts';
import type { Interval } from '../../protocol/statistics/wilson.ts';
import type { UnseenRegion } from '../decide/unseen-region.ts';
import { type Estimate, estimateOf } from './fairness-view.ts';

/** Labelled rows before an estimate is compared with what was realised. */
const MIN_TRUST_ROWS = 100;

export interface Labels {
  readonly predictions: number;
  readonly labelled: number;
  /** labelled / predictions. */
  readonly completeness: number;
  readonly duplicate: number;
  readonly conflicting: number;
  /** From answer to label. */
  readonly delayMs: { readonly p50: number; readonly p95: number } | null;
}

export interface BinaryRealised {
  readonly kind: 'binary';
  readonly accuracy: Estimate;
  readonly precision: Estimate;
  readonly recall: Estimate;
  readonly falsePositiveRate: Estimate;
  readonly f1: number | null;
  readonly auc: Estimated | null;
  /** Expected calibration error over the score's bins; null without scores. */
  readonly calibrationError: number | null;
  /** The accuracy of all rows if every missing label were wrong, and if every one were right (Manski 1989). */
  readonly accuracyBounds: Interval;
}

export interface MulticlassRealised {
  readonly kind: 'multiclass';
  readonly accuracy: Estimate;
  readonly accuracyBounds: Interval;
  readonly macroF1: number | null;
}

export interface RegressionRealised extends RegressionMetrics {
  readonly kind: 'regression';
}

export type Realised = BinaryRealised | MulticlassRealised | RegressionRealised;

export interface EstimatedView {
  /** Null when hidden: trust below MIN_TRUST, or an unseen region. */
  readonly estimate: PerformanceEstimate | null;
  /** Null with fewer than MIN_TRUST_ROWS labels: nothing to hold it against. */
  readonly trust: number | null;
  readonly calibratedOn: 'baseline' | 'scores';
  /** Why it is hidden whatever the trust: rows where the baseline had none. */
  readonly unseen: UnseenRegion | null;
}

export interface PerformanceView {
  readonly labels: Labels;
  readonly realised: Realised | null;
  /** Without labels, from the scores: CBPE. Null where there is no score of a binary model. */
  readonly estimated: EstimatedView | null;
  /** The same of the baseline, to compare with; null where it has no labels. */
  readonly baseline: Realised | null;
}

/** Realised and estimated performance of a period. `map` comes from the baseline's labels, `unseen` from its inputs. */
export function performanceView(
  outcome: OutcomeSketch,
  baseline: OutcomeSketch | null,
  map: IsotonicMap | null,
  unseen: UnseenRegion | null = null,
): PerformanceView {
  const labels = labelsOf(outcome);
  const realised = realisedOf(outcome);
  return {
    labels,
    realised,
    estimated: estimatedOf(outcome, map, unseen),
    baseline: baseline === null ? null : realisedOf(baseline),
  };
}

/** Null without a label. */
export function realisedOf(outcome: OutcomeSketch): Realised | null {
  const { predictions, labelled } = labelsOf(outcome);
  if (labelled === 0) return null;
  switch (outcome.kind) {
    case 'binary':
      return binary(outcome, predictions);
    case 'multiclass':
      return multiclass(outcome, predictions, labelled);
    case 'regression':
      return regression(outcome, labelled);
  }
}

/** Field of "everyone", the first group cell. */
function everyone<K extends OutcomeSketch['kind']>(
  outcome: OutcomeSketch,
  kind: K,
): (field: (typeof GROUP_FIELDS)[K][number]) => number {
  const names: readonly string[] = GROUP_FIELDS[kind];
  return (field) => outcome.groups[names.indexOf(field)];
}

function labelsOf(outcome: OutcomeSketch): Labels {
  const { duplicate, conflicting, delay } = outcome.labels;
  const predictions = outcome.groups[0];
  const labelled = labelledRows(outcome);
  const [p50, p95] = [quantile(delay, 0.5), quantile(delay, 0.95)];
  return {
    predictions,
    labelled,
    completeness: predictions === 0 ? 0 : Math.min(1, labelled / predictions),
    duplicate,
    conflicting,
    delayMs: p50 === null || p95 === null ? null : { p50, p95 },
  };
}

function labelledRows(outcome: OutcomeSketch): number {
  if (outcome.kind !== 'binary') return everyone(outcome, outcome.kind)('labelled');
  const of = everyone(outcome, 'binary');
  return of('tp') + of('fp') + of('fn') + of('tn');
}

function binary(outcome: OutcomeSketch, predictions: number): BinaryRealised {
  const of = everyone(outcome, 'binary');
  const [tp, fp, fn, tn] = [of('tp'), of('fp'), of('fn'), of('tn')];
  const bins = scoreBins(outcome.scores);
  const labelled = tp + fp + fn + tn;
  const truth = bins.map(({ labelled0, labelled1 }) => ({ ones: labelled1, zeros: labelled0 }));
  return {
    kind: 'binary',
    accuracy: estimateOf({ hits: tp + tn, trials: labelled }),
    precision: estimateOf({ hits: tp, trials: tp + fp }),
    recall: estimateOf({ hits: tp, trials: tp + fn }),
    falsePositiveRate: estimateOf({ hits: fp, trials: fp + tn }),
    f1: binaryMetrics({ tp, fp, fn, tn }).f1,
    auc: deLong(truth),
    calibrationError: calibrationOf(bins)?.error ?? null,
    accuracyBounds: manskiBounds(tp + tn, labelled, predictions),
  };
}

function multiclass(outcome: OutcomeSketch, predictions: number, labelled: number): Realised {
  const correct = everyone(outcome, 'multiclass')('correct');
  return {
    kind: 'multiclass',
    accuracy: estimateOf({ hits: correct, trials: labelled }),
    accuracyBounds: manskiBounds(correct, labelled, predictions),
    macroF1: multiclassMetrics(outcome.confusion).macroF1,
  };
}

function regression(outcome: OutcomeSketch, rows: number): Realised | null {
  const of = everyone(outcome, 'regression');
  const metrics = regressionMetrics({
    rows,
    errorSum: of('errorSum'),
    errorAbs: of('errorAbs'),
    errorSquares: of('errorSquares'),
    labelSum: of('labelSum'),
    labelSquares: of('labelSquares'),
  });
  return metrics === null ? null : { kind: 'regression', ...metrics };
}

function estimatedOf(
  outcome: OutcomeSketch,
  map: IsotonicMap | null,
  unseen: UnseenRegion | null,
): EstimatedView | null {
  if (outcome.kind !== 'binary' || outcome.scores.length === 0) return null;
  const estimate = estimatePerformance(scoreBins(outcome.scores), map);
  if (estimate === null) return null;
  const realised = realisedOf(outcome);
  const trust =
    realised?.kind === 'binary' && realised.accuracy.trials >= MIN_TRUST_ROWS
      ? trustOf(estimate.accuracy, realised.accuracy.value, standardError(realised.accuracy))
      : null;
  const calibratedOn = map === null ? 'scores' : 'baseline';
  const isHidden = unseen !== null || (trust !== null && trust < MIN_TRUST);
  return { estimate: isHidden ? null : estimate, trust, calibratedOn, unseen };
}

function standardError({ value, trials }: Estimate): number {
  return Math.sqrt((value * (1 - value)) / trials);
}
