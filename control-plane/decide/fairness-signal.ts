import type { OutcomeGrid, OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { chiSquareLogSurvival } from '../../protocol/statistics/chi-square.ts';
import { logEValue } from '../../protocol/statistics/e-value.ts';
import { rateOf, type Trials } from '../../protocol/statistics/trials.ts';
import {
  type AttributeFairness,
  type FairnessLimits,
  fairnessViews,
} from '../reading/fairness-view.ts';
import { type GroupCounts, groupCounts } from '../reading/group-counts.ts';
import { logAdd } from './e-process.ts';
import { countedRows } from './shared-reference.ts';
import type { Seen } from './stream.ts';

/** Rows of a group in the baseline that its gap is known from, and in a block that it is compared in. */
const MIN_BASELINE = 100;
const MIN_BLOCK = 30;

/** Attributes and pairs of them whose groups are compared. */
export function fairnessNames(grid: OutcomeGrid): readonly string[] {
  if (grid.kind !== 'binary') return [];
  const names = grid.axes.map(({ attribute }) => attribute);
  const pairs = names.flatMap((first, at) =>
    names.slice(at + 1).map((second) => `${first} × ${second}`),
  );
  return [...names, ...pairs];
}

/**
 * Whether there is a gap, by confidence sequences over everything since the period began, so that looking at every
 * block is safe. One answer per attribute or pair; missing where nothing can be compared yet.
 */
export function fairnessSignals(
  grid: OutcomeGrid,
  sum: OutcomeSketch,
  limits: FairnessLimits,
): ReadonlyMap<string, Seen> {
  const seen = new Map<string, Seen>();
  for (const view of fairnessViews(groupCounts(grid, sum), limits)) {
    const signal = verdictSignal(view, limits);
    if (signal !== null) seen.set(view.attribute, signal);
  }
  return seen;
}

function verdictSignal(view: AttributeFairness, limits: FairnessLimits): Seen | null {
  const { gaps, verdict, ratioVerdict } = view;
  if (gaps.length === 0) return null;
  const violating = gaps.filter((gap) => gap.verdict === 'violates');
  const worst = (violating.length > 0 ? violating : gaps).reduce((a, b) =>
    Math.abs(b.difference) > Math.abs(a.difference) ? b : a,
  );
  const alarm = verdict === 'violates' || ratioVerdict === 'violates';
  const size = Math.abs(worst.difference) / limits.differenceLimit;
  // A ratio below the limit is a violation whatever the difference: 2 % against 4 %.
  const effect = alarm ? Math.max(1, size) : size;
  const smallest = Math.min(...view.groups.filter(({ small }) => !small).map(({ rows }) => rows));
  return {
    observation: { kind: 'verdict', alarm, effect },
    measure: {
      kind: 'gap',
      group: worst.group,
      against: worst.against,
      rate: worst.rate,
      difference: worst.difference,
      reference: limits.differenceLimit,
      rows: smallest,
      rowsNeeded: worst.rowsNeeded,
      effect,
    },
  };
}

const selected: TrialsOf = [
  'selectionRate',
  ({ positive, rows }) => ({ hits: positive, trials: rows }),
];
const errors: readonly TrialsOf[] = [
  ['truePositiveRate', ({ tp, fn }) => ({ hits: tp, trials: tp + fn })],
  ['falsePositiveRate', ({ fp, tn }) => ({ hits: fp, trials: fp + tn })],
];
type TrialsOf = readonly [name: string, of: (cell: GroupCounts) => Trials];

/** Rates whose gaps are followed block by block: of decisions, and, once labels came, of errors. */
export const GAP_RATES = { 'selection-gap': [selected], 'error-gap': errors } as const;

/**
 * Whether the gap between groups has grown since the baseline, which says more than that there is one. Two-sided, so
 * that a gap that turns around counts too; the e-value is the mean over groups and rates, valid however they depend.
 */
export function gapSignal(
  attribute: string,
  rates: readonly TrialsOf[],
  grid: OutcomeGrid,
  sides: { readonly reference: OutcomeSketch; readonly current: OutcomeSketch },
  limits: FairnessLimits,
): Seen | null {
  const before = cellsOf(attribute, grid, sides.reference);
  const now = cellsOf(attribute, grid, sides.current);
  const against = referenceGroup(attribute, before, limits);
  const grown = rates.flatMap(([rate, trialsOf]) =>
    [...before].flatMap(([group, cell]) => {
      const [base, other] = [before.get(against), now.get(against)];
      const mine = now.get(group);
      if (group === against || !base || !other || !mine) return [];
      const step = growth([trialsOf(cell), trialsOf(base)], [trialsOf(mine), trialsOf(other)]);
      return step === null ? [] : [{ group, rate, rows: mine.rows, ...step }];
    }),
  );
  if (grown.length === 0) return null;
  const logSum = grown.map(({ logE }) => logE).reduce(logAdd);
  const worst = grown.reduce((a, b) => (b.growth > a.growth ? b : a));
  const effect = worst.growth / (limits.differenceLimit / 2);
  const { group, rate, difference, reference, rows } = worst;
  return {
    observation: { kind: 'evidence', logE: [logSum - Math.log(grown.length)], effect },
    measure: {
      kind: 'gap',
      ...{ group, against, rate, difference, reference, rows, rowsNeeded: null, effect },
    },
  };
}

type Pair = readonly [group: Trials, against: Trials];

function growth(before: Pair, now: Pair) {
  if (Math.min(...before.map(({ trials }) => trials)) < MIN_BASELINE) return null;
  if (Math.min(...now.map(({ trials }) => trials)) < MIN_BLOCK) return null;
  const reference = rateOf(before[0]) - rateOf(before[1]);
  const difference = rateOf(now[0]) - rateOf(now[1]);
  const variance = before.reduce((sum, one, at) => {
    return sum + spread(one) + spread(now[at], countedRows(one.trials, now[at].trials));
  }, 0);
  const error = Math.sqrt(variance);
  const grown = Math.abs(difference) - Math.abs(reference);
  const logP = grown > 0 ? chiSquareLogSurvival((grown / error) ** 2, 1) : 0;
  return { reference, difference, growth: grown, logE: logEValue(logP) };
}

/** Variance of a rate, with one more hit and miss: a rate of 0 in 30 rows is no certainty. */
function spread({ hits, trials }: Trials, counted = trials): number {
  const p = (hits + 1) / (trials + 2);
  return (p * (1 - p)) / counted;
}

function cellsOf(attribute: string, grid: OutcomeGrid, outcome: OutcomeSketch) {
  const cells = groupCounts(grid, outcome).filter((cell) => cell.attribute === attribute);
  return new Map(cells.map((cell) => [cell.group, cell]));
}

function referenceGroup(
  attribute: string,
  cells: ReadonlyMap<string, GroupCounts>,
  { reference }: FairnessLimits,
): string {
  const wanted = reference[attribute];
  if (wanted !== undefined) return `${attribute}=${wanted}`;
  let largest = '';
  for (const [group, { rows }] of cells) {
    if (rows > (cells.get(largest)?.rows ?? -1)) largest = group;
  }
  return largest;
}
