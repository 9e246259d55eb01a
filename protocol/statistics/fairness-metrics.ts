import { rateOf, type Trials } from './trials.ts';

/** Decisions about one group, and what became of those that have a label. */
export interface GroupOutcome {
  readonly rows: number;
  /** Rows with the favourable decision. */
  readonly positive: number;
  readonly tp: number;
  readonly fp: number;
  readonly fn: number;
  readonly tn: number;
  /** Σ (y − score) over labelled rows. */
  readonly residualSum: number;
}

/**
 * How far groups lie apart, as Fairlearn 0.15 defines it (`between_groups`): largest less smallest rate, or smallest over
 * largest. A rate that a group has no trials for leaves that group out of its comparison; null where fewer than two
 * groups remain. A ratio of 0 to 0 is 1: nobody was selected anywhere.
 */
export interface FairnessMetrics {
  /** Of selection rates. */
  readonly demographicParityDifference: number | null;
  readonly demographicParityRatio: number | null;
  /** Of true positive rates. */
  readonly equalOpportunityDifference: number | null;
  readonly equalOpportunityRatio: number | null;
  /** The larger of the ranges of TPR and FPR; the smaller of their ratios. */
  readonly equalizedOddsDifference: number | null;
  readonly equalizedOddsRatio: number | null;
  /** Mean of the ranges of TPR and FPR (Fairlearn: `agg='mean'`). */
  readonly averageOddsDifference: number | null;
  /** Of positive predictive values. */
  readonly predictiveParityDifference: number | null;
  /** Of E[y] − E[score]: calibration in the large. */
  readonly calibrationDifference: number | null;
}

/** Over the groups as given: leave out before what is too small to compare. */
export function fairnessMetrics(groups: readonly GroupOutcome[]): FairnessMetrics {
  const selection = spreadOf(groups.map(selected));
  const tpr = spreadOf(groups.map(truePositives));
  const fpr = spreadOf(groups.map(falsePositives));
  const odds = tpr === null || fpr === null ? null : { tpr, fpr };
  return {
    demographicParityDifference: selection?.difference ?? null,
    demographicParityRatio: selection?.ratio ?? null,
    equalOpportunityDifference: tpr?.difference ?? null,
    equalOpportunityRatio: tpr?.ratio ?? null,
    equalizedOddsDifference: odds && Math.max(odds.tpr.difference, odds.fpr.difference),
    equalizedOddsRatio: odds && Math.min(odds.tpr.ratio, odds.fpr.ratio),
    averageOddsDifference: odds && (odds.tpr.difference + odds.fpr.difference) / 2,
    predictiveParityDifference: spreadOf(groups.map(predictedRight))?.difference ?? null,
    calibrationDifference: calibrationRange(groups),
  };
}

/** One group against a privileged one, signed as AIF360 0.6 has it: below 0 (a ratio below 1) the group has less. */
export interface SignedMetrics {
  readonly statisticalParityDifference: number | null;
  readonly disparateImpact: number | null;
  readonly equalOpportunityDifference: number | null;
  /** ½ ((FPR − FPR′) + (TPR − TPR′)): where the two differ in sign they cancel, and `averageOddsError` shows it. */
  readonly averageOddsDifference: number | null;
  /** ½ (|FPR − FPR′| + |TPR − TPR′|). */
  readonly averageOddsError: number | null;
  readonly predictiveParityDifference: number | null;
}

export function signedMetrics(group: GroupOutcome, privileged: GroupOutcome): SignedMetrics {
  const gap = (of: (outcome: GroupOutcome) => Trials) => {
    const [a, b] = [of(group), of(privileged)];
    return a.trials === 0 || b.trials === 0 ? null : rateOf(a) - rateOf(b);
  };
  const [tpr, fpr] = [gap(truePositives), gap(falsePositives)];
  const odds = tpr === null || fpr === null ? null : { tpr, fpr };
  const base = rateOf(selected(privileged));
  return {
    statisticalParityDifference: gap(selected),
    disparateImpact: group.rows === 0 || base === 0 ? null : rateOf(selected(group)) / base,
    equalOpportunityDifference: tpr,
    averageOddsDifference: odds && (odds.fpr + odds.tpr) / 2,
    averageOddsError: odds && (Math.abs(odds.fpr) + Math.abs(odds.tpr)) / 2,
    predictiveParityDifference: gap(predictedRight),
  };
}

export function selected({ positive, rows }: GroupOutcome): Trials {
  return { hits: positive, trials: rows };
}

export function truePositives({ tp, fn }: GroupOutcome): Trials {
  return { hits: tp, trials: tp + fn };
}

export function falsePositives({ fp, tn }: GroupOutcome): Trials {
  return { hits: fp, trials: fp + tn };
}

/** Of the rows decided favourably, those whose label agrees: the positive predictive value. */
export function predictedRight({ tp, fp }: GroupOutcome): Trials {
  return { hits: tp, trials: tp + fp };
}

interface Spread {
  readonly difference: number;
  readonly ratio: number;
}

function spreadOf(trials: readonly Trials[]): Spread | null {
  const rates = trials.filter(({ trials: count }) => count > 0).map(rateOf);
  if (rates.length < 2) return null;
  const [low, high] = [Math.min(...rates), Math.max(...rates)];
  return { difference: high - low, ratio: high === 0 ? 1 : low / high };
}

function calibrationRange(groups: readonly GroupOutcome[]): number | null {
  const gaps = groups.flatMap(({ tp, fp, fn, tn, residualSum }) => {
    const labelled = tp + fp + fn + tn;
    return labelled === 0 ? [] : [residualSum / labelled];
  });
  return gaps.length < 2 ? null : Math.max(...gaps) - Math.min(...gaps);
}
