import type { FeatureSketch } from '../../protocol/sketch/window.ts';
import { ColumnCounter, type Mismatch } from './column-counter.ts';
import { ColumnLearner, type ColumnPlan, DATETIME_REASON } from './column-learner.ts';
import type { Block, Table } from './table.ts';

/** Cells of the reference that are kept to be counted once its bins are known; past that it is read twice. */
const HELD_CELLS = 8 * 1024 * 1024;

export type Comparable = ColumnPlan & { grid: object };

/** One side of one column. */
export interface Counted {
  readonly sketch: FeatureSketch;
  readonly mismatch: Mismatch | null;
}

export interface LearnedColumn {
  readonly plan: ColumnPlan;
  /** Null where nothing is compared. */
  readonly counted: Counted | null;
}

export interface Learned {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, LearnedColumn>;
}

/** Goes over the reference: what each column is, where its cells are, and what is in them. */
export async function learnTable(table: Table, columns: readonly string[]): Promise<Learned> {
  const learned = new Map<string, LearnedColumn>();
  let rows = table.rows ?? 0;
  for (const group of readingGroups(table, columns)) {
    const { plans, held, rows: seen } = await learnGroup(table, group);
    rows = Math.max(rows, seen);
    const comparable = new Map([...plans].filter(isComparable));
    const source = held ?? table.blocks(group);
    const counted = await countGroup(source, group, comparable);
    for (const [name, plan] of plans) {
      learned.set(name, { plan, counted: counted.columns.get(name) ?? null });
    }
  }
  return { rows, columns: learned };
}

/** Counts the other side on the same cells. */
export async function countTable(
  table: Table,
  plans: ReadonlyMap<string, Comparable>,
): Promise<{ rows: number; columns: ReadonlyMap<string, Counted> }> {
  const columns = new Map<string, Counted>();
  let rows = table.rows ?? 0;
  for (const group of readingGroups(table, [...plans.keys()])) {
    const counted = await countGroup(table.blocks(group), group, plans);
    rows = Math.max(rows, counted.rows);
    for (const [name, one] of counted.columns) columns.set(name, one);
  }
  return { rows, columns };
}

export function isComparable(entry: [string, ColumnPlan]): entry is [string, Comparable] {
  return entry[1].grid !== null;
}

function readingGroups(table: Table, columns: readonly string[]): (readonly string[])[] {
  if (table.reading === 'apart') return columns.map((column) => [column]);
  // A table must be gone over even for no column: its rows are only known then.
  return columns.length > 0 || table.rows === null ? [columns] : [];
}

async function learnGroup(
  table: Table,
  group: readonly string[],
): Promise<{ plans: Map<string, ColumnPlan>; held: Block[] | null; rows: number }> {
  const known = new Map(table.columns.map((column) => [column.name, column]));
  const plans = new Map<string, ColumnPlan>();
  const learners = new Map<string, { learner: ColumnLearner; place: number }>();
  for (const [place, name] of group.entries()) {
    if (known.get(name)?.kind === 'datetime') {
      plans.set(name, { kind: 'datetime', grid: null, reason: DATETIME_REASON });
    } else learners.set(name, { learner: new ColumnLearner(), place });
  }
  let held: Block[] | null = [];
  let rows = 0;
  if (learners.size > 0 || table.rows === null) {
    for await (const block of table.blocks(group)) {
      for (const { learner, place } of learners.values()) learner.add(block.data[place]);
      rows += block.rows;
      if (rows * group.length > HELD_CELLS) held = null;
      held?.push(block);
    }
  }
  for (const [name, { learner }] of learners) plans.set(name, learner.plan());
  return { plans, held, rows };
}

async function countGroup(
  blocks: AsyncIterable<Block> | Iterable<Block>,
  group: readonly string[],
  plans: ReadonlyMap<string, Comparable>,
): Promise<{ rows: number; columns: Map<string, Counted> }> {
  const counters = new Map<string, { counter: ColumnCounter; place: number }>();
  for (const [place, name] of group.entries()) {
    const plan = plans.get(name);
    if (plan !== undefined) counters.set(name, { counter: new ColumnCounter(plan), place });
  }
  let rows = 0;
  for await (const block of blocks) {
    for (const { counter, place } of counters.values()) {
      counter.add(block.data[place], block.firstRow);
    }
    rows += block.rows;
  }
  const columns = new Map(
    [...counters].map(([name, { counter }]) => [
      name,
      { sketch: counter.sketch, mismatch: counter.mismatch },
    ]),
  );
  return { rows, columns };
}
