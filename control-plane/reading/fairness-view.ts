import { alwaysValidGap, alwaysValidRatio } from '../../protocol/statistics/confidence-sequence.ts';
import {
  type FairnessMetrics,
  fairnessMetrics,
  falsePositives,
  predictedRight,
  selected,
  truePositives,
} from '../../protocol/statistics/fairness-metrics.ts';
import {
  type GapVerdict,
  jointVerdict,
  judgeGap,
  judgeRatio,
  rowsStillNeeded,
} from '../../protocol/statistics/fairness-verdict.ts';
import { newcombe, rateOf, type Trials } from '../../protocol/statistics/trials.ts';
import { type Interval, wilsonInterval } from '../../protocol/statistics/wilson.ts';
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
  /** About how many more rows of the group, at the present rates and mix, decide the verdict; null once it is decided. */
  readonly rowsNeeded: number | null;
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
    verdict: jointVerdict(verdicts),
    reference: reference?.group ?? null,
    groups: cells.map(ratesOf),
    metrics: large.length < 2 ? null : fairnessMetrics(large),
    ratioVerdict: reference === null ? 'insufficient' : ratioVerdict(large, reference, limits),
    gaps,
  };
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
      return [
        {
          rate,
          group: group.group,
          against: reference.group,
          difference: rateOf(a) - rateOf(b),
          interval: newcombe(a, b),
          sequence,
          verdict,
          rowsNeeded:
            verdict === 'insufficient' ? rowsStillNeeded(a, b, differenceLimit, alpha) : null,
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
  return jointVerdict(
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
    positivePredictiveValue: estimateOrNull(predictedRight(cell)),
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

function completeness({ rows, tp, fp, fn, tn }: GroupCounts): number {
  return rows === 0 ? 0 : Math.min(1, (tp + fp + fn + tn) / rows);
}
