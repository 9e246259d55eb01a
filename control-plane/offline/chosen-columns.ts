import { DriftInputError } from './error.ts';
import type { Table } from './table.ts';

export interface Chosen {
  /** In both tables, and readable in both. */
  readonly columns: readonly string[];
  readonly skipped: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/** @throws DriftInputError `options` for a column that is not there, or when nothing is left to compare */
export function chosenColumns(
  reference: Table,
  current: Table,
  { columns, ignore = [] }: { columns?: readonly string[]; ignore?: readonly string[] },
): Chosen {
  const before = new Map(reference.columns.map((column) => [column.name, column]));
  const now = new Map(current.columns.map((column) => [column.name, column]));
  for (const name of columns ?? []) requireColumn(name, before, reference.name);
  for (const name of ignore) requireColumn(name, new Map([...before, ...now]), 'neither file');
  const wanted = (name: string) =>
    !ignore.includes(name) && (columns === undefined || columns.includes(name));
  const names = [...before.keys()].filter(wanted);
  const shared = names.filter((name) => now.has(name));
  if (shared.length === 0) {
    throw new DriftInputError(
      'options',
      `no column to compare: ${reference.name} has ${list([...before.keys()])}, ${current.name} has ${list([...now.keys()])}`,
    );
  }
  const skipped = new Map<string, string>();
  for (const name of shared) {
    const reason = before.get(name)?.reason ?? now.get(name)?.reason ?? null;
    if (reason !== null) skipped.set(name, reason);
  }
  return {
    columns: shared.filter((name) => !skipped.has(name)),
    skipped,
    notes: [
      ...only(reference.name, names, now),
      ...only(current.name, [...now.keys()].filter(wanted), before),
    ],
  };
}

function only(table: string, names: readonly string[], other: ReadonlyMap<string, unknown>) {
  const alone = names.filter((name) => !other.has(name));
  return alone.length === 0 ? [] : [`only ${table} has ${list(alone)}`];
}

function requireColumn(name: string, among: ReadonlyMap<string, unknown>, table: string): void {
  if (among.has(name)) return;
  const which = table === 'neither file' ? 'neither file has' : `${table} does not have`;
  throw new DriftInputError(
    'options',
    `${which} a column "${name}"; there is ${list([...among.keys()])}`,
  );
}

const MOST_LISTED = 12;

function list(names: readonly string[]): string {
  const shown = names.slice(0, MOST_LISTED).map((name) => `"${name}"`);
  const rest = names.length - shown.length;
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
