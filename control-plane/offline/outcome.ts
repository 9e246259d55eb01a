import { type Compared, featureViews, worstVerdict } from '../reading/feature-view.ts';
import type { Chosen } from './chosen-columns.ts';
import type { ColumnPlan } from './column-learner.ts';
import type { DriftReport } from './compare.ts';
import {
  type Counted,
  countTable,
  isComparable,
  type LearnedColumn,
  learnTable,
} from './count-tables.ts';
import { type FeatureResult, skippedFeature } from './feature-result.ts';
import type { Table } from './table.ts';

export interface Outcome {
  readonly report: DriftReport;
  /** What was counted of the columns that were compared. */
  readonly compared: ReadonlyMap<string, Compared>;
}

interface Pair extends Compared {
  readonly learned: LearnedColumn;
  readonly mismatches: readonly string[];
}

/** Reads both tables and gives every column its verdict, the false discovery rate being that over all of them. */
export async function outcomeOf(
  reference: Table,
  current: Table,
  { columns, skipped, notes }: Chosen,
): Promise<Outcome> {
  const before = await learnTable(reference, columns);
  const known = [...before.columns].map(([name, { plan }]): [string, ColumnPlan] => [name, plan]);
  const plans = new Map(known.filter(isComparable));
  const now = await countTable(current, plans);
  const pairs = new Map<string, Pair>();
  for (const [name, learned] of before.columns) {
    const pair = pairOf(name, learned, now.columns.get(name), reference.name, current.name);
    if (pair !== null) pairs.set(name, pair);
  }
  const results = resultsOf(before.columns, pairs);
  const features = [
    ...results,
    ...[...skipped].map(([name, reason]) => skippedFeature(name, 'categorical', reason)),
  ];
  const order = new Map(reference.columns.map(({ name }, at) => [name, at]));
  features.sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0));
  return {
    report: {
      rows: { reference: before.rows, current: now.rows },
      verdict: worstVerdict(features.map(({ verdict }) => verdict)),
      features,
      notes: [...notes, ...[...pairs.values()].flatMap(({ mismatches }) => mismatches)],
    },
    compared: pairs,
  };
}

function pairOf(
  name: string,
  learned: LearnedColumn,
  current: Counted | undefined,
  referenceName: string,
  currentName: string,
): Pair | null {
  const { plan, counted } = learned;
  if (plan.grid === null || counted === null || current === undefined) return null;
  return {
    name,
    grid: plan.grid,
    reference: counted.sketch,
    current: current.sketch,
    learned,
    mismatches: [
      ...mismatch(name, referenceName, counted),
      ...mismatch(name, currentName, current),
    ],
  };
}

function mismatch(name: string, table: string, { mismatch: found }: Counted): string[] {
  if (found === null) return [];
  const { count, row, value } = found;
  const values = count === 1 ? '1 value is no number' : `${count} values are no numbers`;
  return [
    `${table}, column "${name}": ${values} and counted as missing (first in row ${row}: "${value}")`,
  ];
}

function resultsOf(
  columns: ReadonlyMap<string, LearnedColumn>,
  pairs: ReadonlyMap<string, Pair>,
): FeatureResult[] {
  const views = new Map(featureViews([...pairs.values()]).map((view) => [view.name, view]));
  return [...columns].map(([name, { plan }]) => {
    const view = views.get(name);
    if (view === undefined) {
      const reason = 'reason' in plan ? plan.reason : 'it was not counted';
      return skippedFeature(name, plan.kind, reason);
    }
    return { ...view, kind: plan.kind, reason: null };
  });
}
