import { cellOfValue } from './cell.ts';
import { DriftInputError } from './error.ts';
import {
  BLOCK_ROWS,
  type Block,
  columnData,
  MAX_COLUMNS,
  requireColumns,
  type Table,
} from './table.ts';
import { textOf } from './text-of.ts';

export type Row = Readonly<Record<string, unknown>>;

/** One line. A file of one line of gigabytes is a JSON document and no JSON lines. */
const MAX_LINE_LENGTH = 16 * 1024 * 1024;

/**
 * One JSON object a line. The columns are the names that any of them has; where a row lacks one, it is missing. Nested
 * objects and lists are compared as their JSON text.
 *
 * @throws DriftInputError `file` or `format`
 */
export async function openJsonLines(
  path: string,
  name: string,
  onBytes: (bytes: number) => void,
): Promise<Table> {
  const names = new Set<string>();
  let rows = 0;
  for await (const row of objects(path, name, () => {})) {
    rows += 1;
    addNames(names, row, name);
  }
  return tableOf(name, names, rows, () => objects(path, name, onBytes));
}

/** @throws DriftInputError `format` on more than MAX_COLUMNS names */
export function addNames(names: Set<string>, row: Row, table: string): void {
  for (const key in row) names.add(key);
  if (names.size > MAX_COLUMNS) requireColumns([...names], table);
}

export function tableOf(
  name: string,
  names: ReadonlySet<string>,
  rows: number,
  read: () => AsyncIterable<Row> | Iterable<Row>,
): Table {
  requireColumns([...names], name);
  return {
    name,
    columns: [...names].map((column) => ({ name: column, reason: null })),
    rows,
    reading: 'together',
    blocks: (columns) => blocks(read(), columns),
    close: async () => {},
  };
}

async function* blocks(
  rows: AsyncIterable<Row> | Iterable<Row>,
  columns: readonly string[],
): AsyncGenerator<Block> {
  let held: Row[] = [];
  let firstRow = 0;
  const block = () => ({
    firstRow,
    rows: held.length,
    data: columns.map((column) => columnData(held.map((row) => cellOfValue(row[column])))),
  });
  for await (const row of rows) {
    held.push(row);
    if (held.length < BLOCK_ROWS) continue;
    yield block();
    firstRow += held.length;
    held = [];
  }
  if (held.length > 0) yield block();
}

async function* objects(
  path: string,
  name: string,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Row> {
  let line = 0;
  let rest = '';
  for await (const text of textOf(path, name, onBytes)) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_LENGTH) {
      throw new DriftInputError(
        'format',
        `${name}, line ${line + lines.length + 1}: longer than ${MAX_LINE_LENGTH} characters`,
      );
    }
    for (const one of lines) {
      line += 1;
      if (one.trim() !== '') yield objectOf(one, name, line);
    }
  }
  if (rest.trim() !== '') yield objectOf(rest, name, line + 1);
}

function objectOf(text: string, name: string, line: number): Row {
  let value: unknown;
  try {
    value = JSON.parse(line === 1 ? text.replace(/^\uFEFF/, '') : text);
  } catch (cause) {
    throw new DriftInputError('format', `${name}, line ${line}: no JSON: ${text.slice(0, 60)}`, {
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DriftInputError(
      'format',
      `${name}, line ${line}: ${text.slice(0, 40)} is no object; each line is one row, as {"age": 42}`,
    );
  }
  return value as Row;
}
