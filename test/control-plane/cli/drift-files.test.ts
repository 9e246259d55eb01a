import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const PROGRAM = join(ROOT, 'control-plane/cli/driftline.js');
const folder = mkdtempSync(join(tmpdir(), 'driftline-cli-'));
const [reference, same, watched, moved] = ['reference', 'same', 'watched', 'moved'].map((name) =>
  join(folder, `${name}.csv`),
);

const ROWS = 3000;

beforeAll(() => {
  // Evenly spread, so that the same rows elsewhere in the period show no difference and a shift shows all of it.
  const csv = (first: number, shift: number, power = 1) =>
    `age,city\n${Array.from({ length: ROWS }, (_, k) => {
      const row = first + k;
      return `${100 * (((row * 389) % ROWS) / ROWS) ** power + shift},${['Bern', 'Basel', '"Biel, BE"'][row % 3]}\n`;
    }).join('')}`;
  writeFileSync(reference, csv(0, 0));
  writeFileSync(same, csv(1500, 0));
  writeFileSync(watched, csv(0, 0, 1.25));
  writeFileSync(moved, csv(0, 20));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(program: readonly string[], cwd = ROOT): Promise<Ran> {
  return new Promise((done) => {
    execFile(process.execPath, program, { cwd }, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

const drift = (current: string, ...flags: string[]) =>
  run([PROGRAM, 'drift', '--reference', reference, '--current', current, ...flags]);

describe('driftline drift --reference --current', { timeout: 20_000 }, () => {
  it('prints the report as one line of JSON', async () => {
    const { code, out } = await drift(moved, '--json');
    expect({ code, lines: out.split('\n').length }).toEqual({ code: 0, lines: 2 });
    const report = JSON.parse(out);
    expect(report.rows).toEqual({ reference: ROWS, current: ROWS });
    expect(report.verdict).toBe('alert');
    expect(report.features).toMatchObject([
      { name: 'age', kind: 'numeric', verdict: 'alert' },
      { name: 'city', kind: 'categorical', verdict: 'ok', ks: null, wasserstein: null },
    ]);
    for (const key of ['psi', 'ks', 'wasserstein', 'js', 'pValue']) {
      expect(report.features[0][key]).toBeTypeOf('number');
    }
    // 20 of a uniform 0 to 100, of which σ is 28.87.
    expect(report.features[0].wasserstein).toBeCloseTo(20 / 28.87, 2);
  });

  it.each([
    ['no drift', same, 0, 0],
    ['some', watched, 0, 1],
    ['much', moved, 1, 1],
  ])('exits by what --fail-on asks for: %s', async (_, current, onAlert, onWatch) => {
    const [plain, alert, watch] = await Promise.all([
      drift(current),
      drift(current, '--fail-on', 'alert'),
      drift(current, '--fail-on', 'watch', '--json'),
    ]);
    expect([plain.code, alert.code, watch.code]).toEqual([0, onAlert, onWatch]);
  });

  it('shows the loudest first, for people, and writes a page', async () => {
    const page = join(folder, 'drift.html');
    const { code, out, err } = await drift(moved, '--out', page);
    expect(code).toBe(0);
    expect(out).toMatch(/^moved\.csv against reference\.csv: alert\n3000 rows against 3000\n/);
    expect(out.indexOf('\nage ')).toBeLessThan(out.indexOf('\ncity '));
    expect(err).toContain(page);
    expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>[\s\S]*age[\s\S]*city/i);
  });

  it.each<[string, string[], number, string]>([
    ['only one file', ['--current', same], 2, 'two files with --reference and --current'],
    ['neither files nor a deployment', [], 2, 'name a deployment'],
    ['files and a deployment', ['loans', '--reference', reference, '--current', same], 2, 'name a'],
    [
      'another --fail-on',
      ['--reference', reference, '--current', same, '--fail-on', 'ok'],
      2,
      'alert or watch',
    ],
    [
      'a column that is not there',
      ['--reference', reference, '--current', same, '--columns', 'aeg'],
      2,
      '"aeg"; there is "age", "city"',
    ],
    [
      'a file that is not there',
      ['--reference', 'none.csv', '--current', same],
      1,
      "none.csv can't be read",
    ],
    [
      'a page that can not be written',
      ['--reference', reference, '--current', same, '--out', '/nowhere/x.html'],
      1,
      '--out /nowhere/x.html',
    ],
  ])('refuses %s', async (_, flags, code, message) => {
    const ran = await run([PROGRAM, 'drift', ...flags]);
    expect(ran.code).toBe(code);
    expect(ran.out).toBe('');
    expect(ran.err).toContain(message);
  });
});

describe("import 'driftline/drift'", { timeout: 20_000 }, () => {
  it('gives a program the same report', async () => {
    // The command builds what is stale; the package's own name finds what it exports.
    const { out } = await drift(moved, '--json');
    const script = `
      import { compareFiles, compareRows, DriftInputError } from 'driftline/drift';
      const report = await compareFiles(process.argv[1], process.argv[2]);
      const rows = await compareRows([{ age: 1 }], [{ age: 2 }]);
      const refused = await compareFiles('none.csv', 'none.csv').catch((error) => error);
      console.log(JSON.stringify({
        report, small: rows.verdict, refused: refused instanceof DriftInputError && refused.kind }));`;
    const ran = await run(['--input-type=module', '-e', script, reference, moved]);
    expect(ran.err).toBe('');
    expect(JSON.parse(ran.out)).toEqual({
      report: JSON.parse(out),
      small: 'insufficient',
      refused: 'file',
    });
  });
});
