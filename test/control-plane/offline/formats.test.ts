import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  compareFiles,
  compareRows,
  DriftInputError,
} from '../../../control-plane/offline/compare.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { csvOf, jsonLinesOf, parquetRows } from './rows.ts';

const folder = mkdtempSync(join(tmpdir(), 'driftline-formats-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PARQUET = join(import.meta.dirname, 'parquet');

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** How many rows are counted at a time differs, and with it the last digits of a mean. */
function rounded(report: unknown): unknown {
  const digits = (_: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(9)) : value;
  return JSON.parse(JSON.stringify(report, digits));
}

const rows = parquetRows();
const moved = rows.map((row, r) => ({ ...row, whole: r % 7, word: 'two' }));
const shared = { columns: ['float', 'single', 'whole', 'small', 'flag', 'word', 'when'] };

describe('a report', () => {
  it('is the same from rows, CSV, JSON lines and Parquet of every codec, whatever is compared with what', async () => {
    const expected = await compareRows(rows, moved, shared);
    expect(expected.features.map(({ name, kind, verdict }) => [name, kind, verdict])).toEqual([
      ['float', 'numeric', 'ok'],
      ['single', 'numeric', 'ok'],
      ['whole', 'numeric', 'alert'],
      ['small', 'numeric', 'ok'],
      ['flag', 'categorical', 'ok'],
      ['word', 'categorical', 'alert'],
      ['when', 'datetime', 'insufficient'],
    ]);
    const current = [
      file('moved.csv', csvOf(moved)),
      file('moved.tsv', csvOf(moved, '\t', '\r\n')),
      file('semicolon.csv', `\uFEFF${csvOf(moved, ';')}`),
      file('moved.jsonl', jsonLinesOf(moved)),
      file('no-extension', jsonLinesOf(moved)),
    ];
    const codecs = ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'plain', 'v2'];
    const references = [
      ...codecs.map((codec) => join(PARQUET, `${codec}.parquet`)),
      file('rows.csv', csvOf(rows)),
      file('rows.ndjson', jsonLinesOf(rows)),
    ];
    for (const [at, reference] of references.entries()) {
      const report = await compareFiles(reference, current[at % current.length], shared);
      expect(rounded(report)).toEqual(rounded(expected));
    }
  });

  it('reads Parquet columns that are never null, byte-split and delta-encoded', async () => {
    const path = join(PARQUET, 'required.parquet');
    const only = { columns: ['single', 'whole'] };
    const report = await compareFiles(path, path);
    expect(rounded(report)).toEqual(rounded(await compareRows(rows, rows, only)));
  });

  it('names a list with its reason, and columns that only one side has', async () => {
    const current = file(
      'fewer.csv',
      csvOf(rows.map(({ when, flag, ...row }) => ({ ...row, extra: 1 }))),
    );
    const { features, notes } = await compareFiles(join(PARQUET, 'zstd.parquet'), current);
    expect(features.find(({ name }) => name === 'list')).toMatchObject({
      verdict: 'insufficient',
      reason: expect.stringContaining('flatten'),
      psi: null,
    });
    expect(notes).toEqual(['only zstd.parquet has "flag", "when"', 'only fewer.csv has "extra"']);
  });

  it('says in which row of a Parquet file the first text among numbers is', async () => {
    const reference = file('late.csv', `late\n${rows.map((_, r) => r % 9).join('\n')}\n`);
    for (const codec of ['snappy', 'plain', 'v2']) {
      const { notes } = await compareFiles(reference, join(PARQUET, `${codec}.parquet`));
      expect(notes[0]).toMatch(/^only /);
      expect(notes[1]).toContain(
        '295 values are no numbers and counted as missing (first in row 6: "x")',
      );
    }
  });

  it('keeps two columns of one name apart, as pandas does, and names those without', async () => {
    const path = file('twice.csv', 'age,age,\n1,2,3\n');
    const { features } = await compareFiles(path, path);
    expect(features.map(({ name }) => name)).toEqual(['age', 'age.1', 'column 3']);
  });

  it('is the same whether the reference is held or read twice, and exact or learned by a sketch', async () => {
    const uniform = seededUniform(4);
    const text = Array.from({ length: 90_000 }, () => `${uniform() + uniform()},${uniform()}\n`);
    const path = file('long.csv', `a,b\n${text.join('')}`);
    const { rows: counted, features, verdict } = await compareFiles(path, path);
    expect(counted).toEqual({ reference: 90_000, current: 90_000 });
    expect(verdict).toBe('ok');
    for (const feature of features) expect(feature).toMatchObject({ psi: 0, ks: 0, pValue: 1 });
  });
});

describe('a file that can not be compared is refused with what to do', () => {
  const good = file('good.csv', 'a,b\n1,2\n');

  it.each<[string, string | Uint8Array, string | RegExp]>([
    ['empty.csv', '', 'empty.csv is empty'],
    [
      'ragged.csv',
      'a,b\n1,2\n3\n',
      'ragged.csv, row 2: 1 fields (it begins with "3"), the header has 2',
    ],
    ['quote.csv', 'a,b\n1,"2\n', 'quote.csv, record 2: a quote is not closed'],
    ['latin.csv', Buffer.from('a,b\nJos\xe9,2\n', 'latin1'), 'latin.csv is no UTF-8'],
    ['list.json', '[{"a":1}]', 'list.json is a JSON list'],
    ['broken.jsonl', '{"a":1}\n{"a":\n', 'broken.jsonl, line 2: no JSON: {"a":'],
    ['scalar.jsonl', '{"a":1}\n3\n', 'scalar.jsonl, line 2: 3 is no object'],
    ['packed.csv.gz', Buffer.from([0x1f, 0x8b, 8, 0]), 'gunzip'],
    ['named.parquet', 'a,b\n', 'named.parquet does not begin with "PAR1"'],
    ['cut.parquet', 'PAR1 and no more', "cut.parquet: its footer can't be read"],
    [
      'other.csv',
      'c,d\n1,2\n',
      /no column to compare: good.csv has "a", "b", other.csv has "c", "d"/,
    ],
  ])('%s', async (name, content, message) => {
    const refused = compareFiles(good, file(name, content));
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toBeInstanceOf(DriftInputError);
  });

  it('is not there, or a folder', async () => {
    await expect(compareFiles(good, join(folder, 'none.csv'))).rejects.toThrow('none.csv');
    await expect(compareFiles(folder, good)).rejects.toThrow('is a folder');
  });

  it('or columns that are not there, or no delimiter', async () => {
    await expect(compareFiles(good, good, { columns: ['c'] })).rejects.toThrow(
      'good.csv does not have a column "c"; there is "a", "b"',
    );
    await expect(compareFiles(good, good, { ignore: ['c'] })).rejects.toThrow('"c"');
    await expect(compareFiles(good, good, { ignore: ['a', 'b'] })).rejects.toThrow('no column');
    await expect(compareFiles(good, good, { delimiter: '""' })).rejects.toThrow('one character');
    await expect(compareRows([], [])).rejects.toThrow('the reference is empty');
  });

  it('never with anything but a DriftInputError, whatever byte of a Parquet file is wrong', async () => {
    const bytes = await readFile(join(PARQUET, 'snappy.parquet'));
    const uniform = seededUniform(8);
    const path = join(folder, 'damaged.parquet');
    for (let run = 0; run < 60; run += 1) {
      const damaged = Buffer.from(bytes);
      damaged[4 + Math.floor(uniform() * (bytes.length - 4))] ^= 1 + Math.floor(uniform() * 255);
      writeFileSync(path, damaged);
      await compareFiles(path, path).catch((error) =>
        expect(error).toBeInstanceOf(DriftInputError),
      );
    }
  });
});
