import { CsvError, CsvRecords } from '../../protocol/csv.ts';
import { cellOfText } from './cell.ts';
import { DriftInputError } from './error.ts';
import {
  BLOCK_ROWS,
  type Block,
  type Cell,
  columnData,
  requireColumns,
  type Table,
} from './table.ts';
import { textOf } from './text-of.ts';

const DELIMITERS = [',', ';', '\t', '|'];

/**
 * A CSV with a header. `delimiter` null: the one of comma, semicolon, tab and bar that the header has most of.
 *
 * @throws DriftInputError `file` or `format`
 */
export async function openCsv(
  path: string,
  name: string,
  delimiter: string | null,
  onBytes: (bytes: number) => void,
): Promise<Table> {
  const separator = delimiter ?? (await sniff(path, name));
  const first = await firstOf(records(path, name, separator, () => {}));
  if (first === undefined) {
    throw new DriftInputError('format', `${name} is empty; it needs a header line and rows`);
  }
  const header = named(first);
  requireColumns(header, name);
  return {
    name,
    columns: header.map((column) => ({ name: column, reason: null })),
    rows: null,
    reading: 'together',
    blocks: (columns) => blocks(path, name, separator, header, columns, onBytes),
    close: async () => {},
  };
}

/** As pandas does it: a second "age" is "age.1"; a column without a name gets its place for one. */
function named(header: readonly string[]): string[] {
  const names = new Set<string>();
  for (const [at, text] of header.entries()) {
    const wanted = text.trim() || `column ${at + 1}`;
    let name = wanted;
    for (let copy = 1; names.has(name); copy += 1) name = `${wanted}.${copy}`;
    names.add(name);
  }
  return [...names];
}

async function* blocks(
  path: string,
  name: string,
  delimiter: string,
  header: readonly string[],
  columns: readonly string[],
  onBytes: (bytes: number) => void,
): AsyncGenerator<Block> {
  const places = columns.map((column) => header.indexOf(column));
  let cells: Cell[][] = places.map(() => []);
  let rows = -1;
  let held = 0;
  const block = () => ({ firstRow: rows - held, rows: held, data: cells.map(columnData) });
  for await (const record of records(path, name, delimiter, onBytes)) {
    rows += 1;
    if (rows === 0) continue;
    if (record.length !== header.length) throw wrongWidth(name, rows, record, header);
    for (const [k, place] of places.entries()) cells[k].push(cellOfText(record[place]));
    held += 1;
    if (held < BLOCK_ROWS) continue;
    yield block();
    cells = places.map(() => []);
    held = 0;
  }
  if (held > 0) yield block();
}

function wrongWidth(
  name: string,
  row: number,
  record: readonly string[],
  header: readonly string[],
): DriftInputError {
  return new DriftInputError(
    'format',
    `${name}, row ${row}: ${record.length} fields (it begins with "${record[0].slice(0, 40)}"), the header has ` +
      `${header.length}; a field with the delimiter in it needs quotes, another delimiter needs --delimiter`,
  );
}

async function* records(
  path: string,
  name: string,
  delimiter: string,
  onBytes: (bytes: number) => void,
): AsyncGenerator<string[]> {
  const parser = new CsvRecords(delimiter);
  try {
    for await (const text of textOf(path, name, onBytes)) yield* parser.push(text);
    yield* parser.end();
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new DriftInputError('format', `${name}, ${cause.message}`, { cause });
  }
}

async function sniff(path: string, name: string): Promise<string> {
  let best = { delimiter: ',', fields: 1 };
  for (const delimiter of DELIMITERS) {
    // One that tears a quoted field apart is not it.
    const header = await firstOf(records(path, name, delimiter, () => {})).catch((error) => {
      if (error instanceof DriftInputError && error.kind === 'format') return undefined;
      throw error;
    });
    const fields = header?.length ?? 0;
    if (fields > best.fields) best = { delimiter, fields };
  }
  return best.delimiter;
}

async function firstOf<T>(items: AsyncGenerator<T>): Promise<T | undefined> {
  const { value, done } = await items.next();
  await items.return(undefined);
  return done ? undefined : value;
}
