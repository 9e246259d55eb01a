import { open } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { openCsv } from './csv-table.ts';
import { DriftInputError } from './error.ts';
import { openJsonLines } from './json-lines-table.ts';
import { openParquet } from './parquet-table.ts';
import type { Table } from './table.ts';

export type FileFormat = 'csv' | 'parquet' | 'json-lines';

export interface OpenOptions {
  /** Of a CSV; null: found in its header. */
  readonly delimiter: string | null;
  readonly onBytes: (bytes: number) => void;
}

const BY_EXTENSION: Readonly<Record<string, FileFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.txt': 'csv',
  '.jsonl': 'json-lines',
  '.ndjson': 'json-lines',
  '.parquet': 'parquet',
  '.pq': 'parquet',
};
const PARQUET_MAGIC = 'PAR1';
const GZIP_MAGIC = '\u001f\u008b';
/** Enough for a magic and the first character that is no space. */
const HEAD_BYTES = 64;

/** @throws DriftInputError `file` when there is none, `format` when it is not what it has to be */
export async function openTable(path: string, options: OpenOptions): Promise<Table> {
  const name = basename(path);
  const format = await formatOf(path, name);
  switch (format) {
    case 'csv':
      return openCsv(path, name, options.delimiter, options.onBytes);
    case 'json-lines':
      return openJsonLines(path, name, options.onBytes);
    case 'parquet':
      return openParquet(path, name, options.onBytes);
  }
}

/** What the first bytes say comes before what the name says. */
async function formatOf(path: string, name: string): Promise<FileFormat> {
  const head = await headOf(path, name);
  if (head.startsWith(PARQUET_MAGIC)) return 'parquet';
  if (head.startsWith(GZIP_MAGIC)) {
    throw new DriftInputError('format', `${name} is compressed with gzip; gunzip it first`);
  }
  const first = head.replace(/^\u00ef\u00bb\u00bf/, '').trimStart()[0];
  const named = BY_EXTENSION[extname(path).toLowerCase()];
  if (named === 'parquet') {
    throw new DriftInputError(
      'format',
      `${name} does not begin with "PAR1": it is no Parquet file`,
    );
  }
  if (named !== undefined) return named;
  if (first === '[') {
    throw new DriftInputError(
      'format',
      `${name} is a JSON list; write one object a line instead ("jq -c .[] ${name} > rows.jsonl")`,
    );
  }
  return first === '{' ? 'json-lines' : 'csv';
}

async function headOf(path: string, name: string): Promise<string> {
  const file = await open(path).catch((cause: Error) => {
    throw new DriftInputError('file', `${name} can't be read: ${cause.message}`, { cause });
  });
  try {
    if ((await file.stat()).isDirectory()) {
      throw new DriftInputError('file', `${name} is a folder; name a file`);
    }
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}
