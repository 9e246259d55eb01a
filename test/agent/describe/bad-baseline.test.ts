import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MORTGAGE, temporaryFolder } from '../../support/mortgage.ts';
import { ROOT } from '../../support/source-files.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let lines: string[];
beforeAll(async () => {
  folder = await temporaryFolder();
  const text = await readFile(join(MORTGAGE, 'baseline.csv'), 'utf8');
  lines = text.trim().split('\n').slice(0, 40);
});
afterAll(() => folder.remove());

/** What the real `describe` says of a baseline of these lines. */
async function say(csv: readonly string[]): Promise<{ code: number; error: string }> {
  const [baseline, out] = [join(folder.path, 'bad.csv'), join(folder.path, 'out')];
  await writeFile(baseline, csv.join('\n'));
  const model = ['--model', join(MORTGAGE, 'v1.onnx'), '--name', 'mortgage', '--out', out];
  const given = ['--baseline', baseline, '--manifest', join(MORTGAGE, 'manifest.json')];
  const main = join(ROOT, 'dist/agent/main.js');
  return new Promise((done) => {
    execFile(process.execPath, [main, 'describe', ...model, ...given], (error, stdout) => {
      done({ code: Number(error?.code ?? 0), error: String(JSON.parse(stdout).error) });
    });
  });
}

const cell = (line: string, column: number, value: string) =>
  line
    .split(',')
    .map((old, at) => (at === column ? value : old))
    .join(',');
/** The first row that describe reads is `lines[1]`. */
const changed = (column: number, value: string) =>
  lines.map((line, at) => (at === 3 ? cell(line, column, value) : line));

describe('a baseline that does not fit its model', () => {
  it.each([
    [0, 'n/a', 'row 3, column "debt_to_income": "n/a" is not a number'],
    [2, '', 'row 3, column "loan_to_value": "" is not a number'],
    [3, 'Infinity', 'row 3, column "consumer_credit_score": "Infinity" is not a number'],
  ])('is refused for column %i with %j, by row, column and value', async (column, value, words) => {
    const { code, error } = await say(changed(column, value));
    expect([code, error]).toEqual([1, expect.stringContaining(words)]);
    expect(error).toContain('FP32');
    expect(await readdir(join(folder.path, 'out'))).toEqual([]);
  });

  it('is refused where a column of the model is not there, and says which ones are', async () => {
    const renamed = lines.map((line, at) => (at === 0 ? cell(line, 2, 'ltv') : line));
    const { code, error } = await say(renamed);
    expect([code, error]).toEqual([1, expect.stringContaining('no column "loan_to_value"')]);
    expect(error).toContain('ltv');
  });
});
