import { type Interval, wilsonInterval } from '../../protocol/statistics/wilson.ts';
import {
  alwaysValidGap,
  alwaysValidRatio,
  type GapVerdict,
  judgeGap,
  judgeRatio,
  newcombe,
  rateOf,
  rowsStillNeeded,
  type Trials,
} from './gap.ts';
import type { GroupCounts } from './group-counts.ts';

/** Smaller groups are listed, and left out of what compares groups: two rows would decide it ((iii) F). */
export const MIN_GROUP_ROWS = 100;

/** TPR and FPR are compared once so much of each group is labelled; before, who was labelled may be the difference. */
export const MIN_COMPLETENESS = 0.8;

export interface FairnessLimits {
  readonly differenceLimit: number;
  readonly ratioLimit: number;
  /** Attribute to the value that others are compared with; default: the largest group. */
  readonly reference: Readonly<Record<string, string | number>>;
}

export const DEFAULT_LIMITS: FairnessLimits = {
  differenceLimit: 0.1,
  ratioLimit: 0.8,
  reference: {},
};

export interface Estimate extends Interval {
  readonly value: number;
  readonly trials: number;
}

export interface GroupRates {
  readonly group: string;
  readonly rows: number;
  readonly labelled: number;
  /** Labelled share of the rows. */
  readonly completeness: number;
  /** Fewer rows than MIN_GROUP_ROWS: not compared. */
  readonly small: boolean;
  readonly selectionRate: Estimate;
  readonly truePositiveRate: Estimate | null;
  readonly falsePositiveRate: Estimate | null;
  readonly positivePredictiveValue: Estimate | null;
  /** E[y] − E[score] over labelled rows; null without labels. */
  readonly calibrationGap: number | null;
}

/** One group against the reference group, in one rate. */
export interface Gap {
  readonly rate: 'selectionRate' | 'truePositiveRate' | 'falsePositiveRate';
  readonly group: string;
  readonly against: string;
  readonly difference: number;
  /** 95 %, for one look (Newcombe). */
  readonly interval: Interval;
  /** Holds however often one looks, over all gaps of the attribute; null: too few events to start. */
  readonly sequence: Interval | null;
  readonly verdict: GapVerdict;
  /** Rows that the smaller side still lacks to tell a gap at the limit from none; null once it is told. */
  readonly rowsNeeded: number | null;
}

/** Fairlearn's between-groups definitions; null where a rate can't be had. */
export interface FairnessMetrics {
  readonly demographicParityDifference: number;
  readonly demographicParityRatio: number;
  readonly equalOpportunityDifference: number | null;
  readonly equalizedOddsDifference: number | null;
  /** ½ ((TPR max − min) + (FPR max − min)). */
  readonly averageOddsDifference: number | null;
}

export interface AttributeFairness {
  readonly attribute: string;
  readonly verdict: GapVerdict;
  readonly reference: string | null;
  readonly groups: readonly GroupRates[];
  readonly metrics: FairnessMetrics | null;
  /** Four fifths by confidence sequence, worst group against the reference. */
  readonly ratioVerdict: GapVerdict;
  readonly gaps: readonly Gap[];
}

/** Each attribute, and each pair of them, over the given cells (of one period or of all time). */
export function fairnessViews(
  cells: readonly GroupCounts[],
  limits: FairnessLimits = DEFAULT_LIMITS,
): readonly AttributeFairness[] {
  const attributes = [...new Set(cells.map(({ attribute }) => attribute))].filter(
    (name) => name !== '',
  );
  return attributes.map((attribute) => {
    const own = cells.filter((cell) => cell.attribute === attribute);
    return attributeView(attribute, own, limits);
  });
}

/** Over the groups as given: leave small ones out before. Null below two groups. */
export function fairnessMetrics(groups: readonly GroupCounts[]): FairnessMetrics | null {
  if (groups.length < 2) return null;
  const selection = range(groups.map((group) => rateOf(selected(group))));
  const tpr = labelledRange(groups.map(truePositives));
  const fpr = labelledRange(groups.map(falsePositives));
  return {
    demographicParityDifference: selection.max - selection.min,
    demographicParityRatio: selection.max === 0 ? 1 : selection.min / selection.max,
    equalOpportunityDifference: tpr,
    equalizedOddsDifference: tpr === null || fpr === null ? null : Math.max(tpr, fpr),
    averageOddsDifference: tpr === null || fpr === null ? null : (tpr + fpr) / 2,
  };
}

function attributeView(
  attribute: string,
  cells: readonly GroupCounts[],
  limits: FairnessLimits,
): AttributeFairness {
  const large = cells.filter(({ rows }) => rows >= MIN_GROUP_ROWS);
  const reference = referenceOf(attribute, large, limits);
  const gaps = reference === null ? [] : gapsOf(large, reference, limits);
  const verdicts = gaps.map(({ verdict }) => verdict);
  return {
    attribute,
    verdict: joint(verdicts),
    reference: reference?.group ?? null,
    groups: cells.map(ratesOf),
    metrics: fairnessMetrics(large),
    ratioVerdict: reference === null ? 'insufficient' : ratioVerdict(large, reference, limits),
    gaps,
  };
}

/** One violation is enough; compliance needs all. */
function joint(verdicts: readonly GapVerdict[]): GapVerdict {
  if (verdicts.includes('violates')) return 'violates';
  return verdicts.length > 0 && verdicts.every((verdict) => verdict === 'complies')
    ? 'complies'
    : 'insufficient';
}

function referenceOf(
  attribute: string,
  groups: readonly GroupCounts[],
  limits: FairnessLimits,
): GroupCounts | null {
  const wanted = limits.reference[attribute];
  if (wanted !== undefined) {
    return groups.find(({ group }) => group === `${attribute}=${wanted}`) ?? null;
  }
  return groups.reduce<GroupCounts | null>(
    (largest, group) => (largest === null || group.rows > largest.rows ? group : largest),
    null,
  );
}

const RATES = [
  ['selectionRate', selected],
  ['truePositiveRate', truePositives],
  ['falsePositiveRate', falsePositives],
] as const;

function gapsOf(
  groups: readonly GroupCounts[],
  reference: GroupCounts,
  { differenceLimit }: FairnessLimits,
): readonly Gap[] {
  const others = groups.filter((group) => group !== reference);
  const alpha = 0.05 / Math.max(1, others.length * RATES.length);
  return others.flatMap((group) =>
    RATES.flatMap(([rate, trialsOf]): Gap[] => {
      const [a, b] = [trialsOf(group), trialsOf(reference)];
      if (a.trials === 0 || b.trials === 0) return [];
      const incomplete =
        rate !== 'selectionRate' &&
        Math.min(completeness(group), completeness(reference)) < MIN_COMPLETENESS;
      const sequence = incomplete ? null : alwaysValidGap(a, b, alpha);
      const verdict = judgeGap(sequence, differenceLimit);
      const smaller = a.trials < b.trials ? a : b;
      return [
        {
          rate,
          group: group.group,
          against: reference.group,
          difference: rateOf(a) - rateOf(b),
          interval: newcombe(a, b),
          sequence,
          verdict,
          rowsNeeded: verdict === 'insufficient' ? rowsStillNeeded(smaller, differenceLimit) : null,
        },
      ];
    }),
  );
}

function ratioVerdict(
  groups: readonly GroupCounts[],
  reference: GroupCounts,
  { ratioLimit }: FairnessLimits,
): GapVerdict {
  const others = groups.filter((group) => group !== reference);
  const alpha = 0.05 / Math.max(1, others.length);
  return joint(
    others.map((group) =>
      judgeRatio(alwaysValidRatio(selected(group), selected(reference), alpha), ratioLimit),
    ),
  );
}

function ratesOf(cell: GroupCounts): GroupRates {
  const { tp, fp, fn, tn, rows, residualSum } = cell;
  const labelled = tp + fp + fn + tn;
  return {
    group: cell.group,
    rows,
    labelled,
    completeness: completeness(cell),
    small: rows < MIN_GROUP_ROWS,
    selectionRate: estimateOf(selected(cell)),
    truePositiveRate: estimateOrNull(truePositives(cell)),
    falsePositiveRate: estimateOrNull(falsePositives(cell)),
    positivePredictiveValue: estimateOrNull({ hits: tp, trials: tp + fp }),
    calibrationGap: labelled === 0 ? null : residualSum / labelled,
  };
}

export function estimateOf(trials: Trials): Estimate {
  return {
    value: rateOf(trials),
    trials: trials.trials,
    ...wilsonInterval(trials.hits, trials.trials),
  };
}

function estimateOrNull(trials: Trials): Estimate | null {
  return trials.trials === 0 ? null : estimateOf(trials);
}

function selected({ positive, rows }: GroupCounts): Trials {
  return { hits: positive, trials: rows };
}

function truePositives({ tp, fn }: GroupCounts): Trials {
  return { hits: tp, trials: tp + fn };
}

function falsePositives({ fp, tn }: GroupCounts): Trials {
  return { hits: fp, trials: fp + tn };
}

function completeness({ rows, tp, fp, fn, tn }: GroupCounts): number {
  return rows === 0 ? 0 : Math.min(1, (tp + fp + fn + tn) / rows);
}

function labelledRange(rates: readonly Trials[]): number | null {
  if (rates.some(({ trials }) => trials === 0)) return null;
  const { min, max } = range(rates.map(rateOf));
  return max - min;
}

function range(values: readonly number[]): { readonly min: number; readonly max: number } {
  return { min: Math.min(...values), max: Math.max(...values) };
}
