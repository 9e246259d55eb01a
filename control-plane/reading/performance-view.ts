import { quantile } from '../../protocol/sketch/latency.ts';
import { GROUP_FIELDS, type OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { type Interval, Z_95 } from '../../protocol/statistics/wilson.ts';
import {
  aucOf,
  estimatePerformance,
  type IsotonicMap,
  type PerformanceEstimate,
  scoreBins,
  trustOf,
} from './cbpe.ts';
import { type Estimate, estimateOf } from './fairness-view.ts';

/** Labelled rows before an estimate is compared with what was realised. */
const MIN_TRUST_ROWS = 100;

/** Below this the estimate has proved wrong on labelled rows and is not shown ((iii) E). */
export const MIN_TRUST = 0.5;

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
  readonly auc: ({ readonly value: number } & Interval) | null;
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

export interface RegressionRealised {
  readonly kind: 'regression';
  /** Mean of prediction − label, with 95 % by the normal law. */
  readonly bias: { readonly value: number } & Interval;
  readonly meanAbsoluteError: number;
  readonly rootMeanSquaredError: number;
  readonly rSquared: number | null;
}

export type Realised = BinaryRealised | MulticlassRealised | RegressionRealised;

export interface EstimatedView {
  /** Null when hidden: trust below MIN_TRUST. */
  readonly estimate: PerformanceEstimate | null;
  /** Null with fewer than MIN_TRUST_ROWS labels: nothing to hold it against. */
  readonly trust: number | null;
  readonly calibratedOn: 'baseline' | 'scores';
}

export interface PerformanceView {
  readonly labels: Labels;
  readonly realised: Realised | null;
  /** Without labels, from the scores: CBPE. Null where there is no score of a binary model. */
  readonly estimated: EstimatedView | null;
  /** The same of the baseline, to compare with; null where it has no labels. */
  readonly baseline: Realised | null;
}

/** Realised and estimated performance of a period. `map` comes from the baseline's labels. */
export function performanceView(
  outcome: OutcomeSketch,
  baseline: OutcomeSketch | null,
  map: IsotonicMap | null,
): PerformanceView {
  const labels = labelsOf(outcome);
  const realised = realisedOf(outcome);
  return {
    labels,
    realised,
    estimated: estimatedOf(outcome, map),
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
  const ones = tp + fn;
  const labelled = tp + fp + fn + tn;
  const area = aucOf(
    bins.map(({ labelled0, labelled1 }) => ({ ones: labelled1, zeros: labelled0 })),
  );
  return {
    kind: 'binary',
    accuracy: estimateOf({ hits: tp + tn, trials: labelled }),
    precision: estimateOf({ hits: tp, trials: tp + fp }),
    recall: estimateOf({ hits: tp, trials: ones }),
    falsePositiveRate: estimateOf({ hits: fp, trials: fp + tn }),
    f1: 2 * tp + fp + fn === 0 ? null : (2 * tp) / (2 * tp + fp + fn),
    auc: area === null ? null : hanleyMcNeil(area, ones, labelled - ones),
    calibrationError: calibrationError(bins),
    accuracyBounds: boundsOf(tp + tn, labelled, predictions),
  };
}

function multiclass(outcome: OutcomeSketch, predictions: number, labelled: number): Realised {
  const correct = everyone(outcome, 'multiclass')('correct');
  return {
    kind: 'multiclass',
    accuracy: estimateOf({ hits: correct, trials: labelled }),
    accuracyBounds: boundsOf(correct, labelled, predictions),
    macroF1: macroF1(outcome.confusion),
  };
}

function regression(outcome: OutcomeSketch, labelled: number): Realised {
  const of = everyone(outcome, 'regression');
  const bias = of('errorSum') / labelled;
  const meanSquare = of('errorSquares') / labelled;
  const half = Z_95 * Math.sqrt(Math.max(0, meanSquare - bias ** 2) / labelled);
  const spread = of('labelSquares') - of('labelSum') ** 2 / labelled;
  return {
    kind: 'regression',
    bias: { value: bias, low: bias - half, high: bias + half },
    meanAbsoluteError: of('errorAbs') / labelled,
    rootMeanSquaredError: Math.sqrt(meanSquare),
    rSquared: spread > 0 ? 1 - of('errorSquares') / spread : null,
  };
}

function boundsOf(right: number, labelled: number, predictions: number): Interval {
  const all = Math.max(predictions, labelled);
  return { low: right / all, high: (right + all - labelled) / all };
}

/** Standard error of an AUC (Hanley and McNeil 1982), 95 %, within 0 to 1. */
export function hanleyMcNeil(
  auc: number,
  ones: number,
  zeros: number,
): { readonly value: number } & Interval {
  const q1 = auc / (2 - auc);
  const q2 = (2 * auc ** 2) / (1 + auc);
  const sum = auc * (1 - auc) + (ones - 1) * (q1 - auc ** 2) + (zeros - 1) * (q2 - auc ** 2);
  const half = Z_95 * Math.sqrt(Math.max(0, sum) / (ones * zeros));
  return { value: auc, low: Math.max(0, auc - half), high: Math.min(1, auc + half) };
}

/** Σ (n_b / n) |ȳ_b − p̄_b|; p̄ over all rows of the bin, which is where labels are asked for at random. */
function calibrationError(bins: ReturnType<typeof scoreBins>): number | null {
  const labelled = bins.reduce((sum, bin) => sum + bin.labelled0 + bin.labelled1, 0);
  if (labelled === 0) return null;
  return bins.reduce((sum, bin) => {
    const own = bin.labelled0 + bin.labelled1;
    const all = bin.negative + bin.positive;
    if (own === 0 || all === 0) return sum;
    return sum + (own / labelled) * Math.abs(bin.labelled1 / own - bin.scoreSum / all);
  }, 0);
}

/** Mean F1 over the classes that were predicted or true; rows of `confusion` are predictions. */
function macroF1(confusion: Float64Array): number | null {
  const classes = Math.sqrt(confusion.length);
  const scores: number[] = [];
  for (let k = 0; k < classes; k += 1) {
    let predicted = 0;
    let actual = 0;
    for (let other = 0; other < classes; other += 1) {
      predicted += confusion[k * classes + other];
      actual += confusion[other * classes + k];
    }
    if (predicted + actual > 0)
      scores.push((2 * confusion[k * classes + k]) / (predicted + actual));
  }
  return scores.length === 0 ? null : scores.reduce((sum, value) => sum + value, 0) / scores.length;
}

function estimatedOf(outcome: OutcomeSketch, map: IsotonicMap | null): EstimatedView | null {
  if (outcome.kind !== 'binary' || outcome.scores.length === 0) return null;
  const estimate = estimatePerformance(scoreBins(outcome.scores), map);
  if (estimate === null) return null;
  const realised = realisedOf(outcome);
  const trust =
    realised?.kind === 'binary' && realised.accuracy.trials >= MIN_TRUST_ROWS
      ? trustOf(estimate.accuracy, realised.accuracy.value)
      : null;
  const calibratedOn = map === null ? 'scores' : 'baseline';
  return { estimate: trust !== null && trust < MIN_TRUST ? null : estimate, trust, calibratedOn };
}
