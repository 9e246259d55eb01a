import { DriftInputError } from './error.ts';

/** One value of a row. What else there was has become text. */
export type Cell = number | string | boolean | Date | null;

/** Some rows of one column. Numbers that are NaN or ±Inf are among `values`; null ones only in `missing`. */
export type ColumnData =
  | { readonly kind: 'numbers'; readonly values: Float64Array; readonly missing: number }
  | { readonly kind: 'cells'; readonly values: readonly Cell[] };

export interface Block {
  /** 0 for the first row of the table. */
  readonly firstRow: number;
  readonly rows: number;
  /** In the order of the columns asked for. */
  readonly data: readonly ColumnData[];
}

export interface TableColumn {
  readonly name: string;
  /** Why it can't be compared, known without reading it; null where it can. */
  readonly reason: string | null;
  readonly kind?: 'datetime';
}

/** Rows that can be gone over more than once, a bounded part of them in memory at a time. */
export interface Table {
  /** For messages: the file's name. */
  readonly name: string;
  readonly columns: readonly TableColumn[];
  /** Known without reading them, or null. */
  readonly rows: number | null;
  /** Whether one column costs as much to read as all of them: `together`, or only its share: `apart`. */
  readonly reading: 'together' | 'apart';
  /** @throws DriftInputError `format` on what is no row */
  blocks(columns: readonly string[]): AsyncIterable<Block>;
  close(): Promise<void>;
}

/** As many features as a window has at the most. */
export const MAX_COLUMNS = 4096;

/** Rows of a block of the formats that are read row by row. */
export const BLOCK_ROWS = 8192;

/** @throws DriftInputError `format` when there are none, too many, one without a name or two of the same */
export function requireColumns(names: readonly string[], table: string): void {
  if (names.length === 0) {
    throw new DriftInputError('format', `${table} is empty; it needs rows with named columns`);
  }
  if (names.length > MAX_COLUMNS) {
    throw new DriftInputError(
      'format',
      `${table} has ${names.length} columns, at most ${MAX_COLUMNS} are compared; choose some with --columns`,
    );
  }
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new DriftInputError('format', `${table} has two columns "${twice}"; rename one`);
  }
}

/** Numbers as numbers, so that they are counted without a look at each one's type. */
export function columnData(cells: readonly Cell[]): ColumnData {
  const values = new Float64Array(cells.length);
  let count = 0;
  for (const cell of cells) {
    if (typeof cell === 'number') {
      values[count] = cell;
      count += 1;
    } else if (cell !== null) return { kind: 'cells', values: cells };
  }
  return { kind: 'numbers', values: values.subarray(0, count), missing: cells.length - count };
}
