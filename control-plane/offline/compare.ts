/**
 * Drift between two tables without a fleet: what `driftline drift --reference A --current B` does, for programs.
 *
 *     import { compareFiles } from 'driftline/drift';
 *     const report = await compareFiles('reference.parquet', 'today.csv');
 *     if (report.verdict === 'alert') ...
 */
import type { Verdict } from '../reading/feature-view.ts';
import { chosenColumns } from './chosen-columns.ts';
import { DriftInputError } from './error.ts';
import type { FeatureResult } from './feature-result.ts';
import { addNames, type Row, tableOf } from './json-lines-table.ts';
import { openTable } from './open-table.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import type { Table } from './table.ts';

export { DriftInputError, type DriftInputErrorKind } from './error.ts';
export type { ComparedFeature, FeatureResult, SkippedFeature } from './feature-result.ts';
export type { Row } from './json-lines-table.ts';
export type { Verdict };

export interface DriftOptions {
  /** Compare these only; every one must be in the reference. */
  readonly columns?: readonly string[];
  /** Leave these out. */
  readonly ignore?: readonly string[];
}

export interface FileDriftOptions extends DriftOptions {
  /** Of CSV files, one character; found in the header if not given. */
  readonly delimiter?: string;
  /** Bytes of either file as they are read; a reference past 8 million cells is read twice. */
  readonly onBytes?: (bytes: number) => void;
}

/** All columns that both sides have, in the order of the reference. */
export interface DriftReport {
  readonly rows: { readonly reference: number; readonly current: number };
  /** The loudest of the features. */
  readonly verdict: Verdict;
  readonly features: readonly FeatureResult[];
  /** What a reader has to know: columns that one side lacks, values that were no numbers. */
  readonly notes: readonly string[];
}

/**
 * Compares two files, each CSV, JSON lines or Parquet, in memory that does not grow with their rows.
 *
 * @throws DriftInputError `file`, `format` or `options`; its message says what to do
 */
export async function compareFiles(
  reference: string,
  current: string,
  options: FileDriftOptions = {},
): Promise<DriftReport> {
  return (await fileOutcome(reference, current, options)).report;
}

/**
 * Compares rows in memory: objects of numbers, strings, booleans, dates and null.
 *
 * @throws DriftInputError `format` without a row or beyond MAX_COLUMNS columns, `options`
 */
export async function compareRows(
  reference: readonly Row[],
  current: readonly Row[],
  options: DriftOptions = {},
): Promise<DriftReport> {
  const tables = [rowTable('the reference', reference), rowTable('the current rows', current)];
  return (await outcomeOfTables(tables[0], tables[1], options)).report;
}

/** Also what a page of it needs. */
export async function fileOutcome(
  reference: string,
  current: string,
  { delimiter, onBytes = () => {}, ...options }: FileDriftOptions,
): Promise<Outcome> {
  if (delimiter !== undefined && (delimiter.length !== 1 || /["\r\n]/.test(delimiter))) {
    throw new DriftInputError(
      'options',
      `delimiter is ${JSON.stringify(delimiter)}; it must be one character, no quote and no line end`,
    );
  }
  const opening = { delimiter: delimiter ?? null, onBytes };
  const before = await openTable(reference, opening);
  try {
    const now = await openTable(current, opening);
    try {
      return await outcomeOfTables(before, now, options);
    } finally {
      await now.close();
    }
  } finally {
    await before.close();
  }
}

function outcomeOfTables(
  reference: Table,
  current: Table,
  options: DriftOptions,
): Promise<Outcome> {
  return outcomeOf(reference, current, chosenColumns(reference, current, options));
}

function rowTable(name: string, rows: readonly Row[]): Table {
  const names = new Set<string>();
  for (const row of rows) addNames(names, row, name);
  return tableOf(name, names, rows.length, () => rows);
}
