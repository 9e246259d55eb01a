import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Data to evaluate on: beside the project, never in it. `DRIFTLINE_DATA` names another folder. */
const FOLDER = resolve(process.env.DRIFTLINE_DATA ?? '../shared/data');

/** A file's rows as text by column; null, with a line that says so, where the file is not there. */
export function readRows(file: string): readonly Readonly<Record<string, string>>[] | null {
  const path = resolve(FOLDER, file);
  if (!existsSync(path)) {
    process.stdout.write(`skipped: ${path} is not there\n`);
    return null;
  }
  const [head, ...lines] = parseCsv(readFileSync(path, 'utf8'));
  // COMPAS names two columns twice; the first is meant.
  const columns = head.map((name, at) => (head.indexOf(name) === at ? name : `${name}.${at}`));
  return lines.map((cells) =>
    Object.fromEntries(columns.map((name, at) => [name, cells[at] ?? ''])),
  );
}

/** RFC 4180, for trusted files: quoted cells may hold commas, line ends and doubled quotes. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g,
  )) {
    row.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  return rows;
}

/** One line about what was expected; a miss makes the exit code 1. */
export function check(what: string, met: boolean, found: string): void {
  if (!met) process.exitCode = 1;
  process.stdout.write(`${met ? 'met   ' : 'MISSED'}  ${what}: ${found}\n`);
}
