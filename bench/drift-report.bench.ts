/**
 * How much faster is `driftline drift --reference A --current B` than Evidently's DataDriftPreset, and in how much
 * memory? Whole processes over the same two Parquet files, in turn: 1,000,000 rows × 50 columns each (40 numeric, 10
 * categorical). Evidently needs `bench/peers/install.sh evidently`, 6 GB of memory and minutes a round.
 * --quick: 50,000 rows. --rounds=N: default 3.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QUICK } from './support/bench.ts';
import { cpuTicks, shareOfOthers } from './support/others.ts';
import { atLeast, machineLine, median, quartiles, table, verdict } from './support/report.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = join(ROOT, 'node_modules/.cache');
const PYTHON = join(CACHE, 'peers/evidently/bin/python');
const ROWS = QUICK ? 50_000 : 1_000_000;
const ROUNDS = Number(
  process.argv.find((argument) => argument.startsWith('--rounds='))?.split('=')[1] ?? 3,
);
/** The requirement, for a million rows. */
const GOAL = atLeast(20);
/** Columns of `current` that bench/peers/drift_files.py moves. */
const MOVED = ['c0', 'c1', 'n0', 'n1'];

interface Ran {
  readonly code: number;
  readonly wallS: number;
  readonly cpuS: number;
  readonly peakKiB: number;
  readonly out: string;
  readonly error: string;
}

function measured(command: readonly string[]): Ran {
  const script = join(ROOT, 'bench/peers/measured.py');
  const { stdout } = spawnSync(PYTHON, [script, ...command], { encoding: 'utf8' });
  const ran: Ran = JSON.parse(stdout);
  if (ran.code !== 0) throw new Error(`${command.join(' ')}: ${ran.error}`);
  return ran;
}

function files(): readonly [string, string] {
  const folder = join(CACHE, 'drift-report', String(ROWS));
  const paths = [join(folder, 'reference.parquet'), join(folder, 'current.parquet')] as const;
  if (!paths.every((path) => existsSync(path))) {
    measured([PYTHON, join(ROOT, 'bench/peers/drift_files.py'), folder, String(ROWS)]);
  }
  return paths;
}

function sameDrift(ours: Ran): boolean {
  const { features } = JSON.parse(ours.out);
  const found = features.filter((one: { verdict: string }) => one.verdict === 'alert');
  const names = found.map((one: { name: string }) => one.name).sort();
  return JSON.stringify(names) === JSON.stringify(MOVED);
}

function row(label: string, runs: readonly Ran[]): string[] {
  return [
    label,
    median(runs.map(({ wallS }) => wallS)).toFixed(2),
    median(runs.map(({ cpuS }) => cpuS)).toFixed(2),
    Math.max(...runs.map(({ peakKiB }) => peakKiB / 1024)).toFixed(0),
  ];
}

function main(): void {
  process.stdout.write(`drift-report: ${ROWS} rows x 50 columns against as many\n`);
  process.stdout.write(`${machineLine({ server: null, load: null })}${QUICK ? '; quick' : ''}\n\n`);
  if (!existsSync(PYTHON)) {
    process.stdout.write('Evidently is not installed: bench/peers/install.sh evidently\n');
    return;
  }
  const before = cpuTicks();
  const [reference, current] = files();
  const cli = join(ROOT, 'dist/control-plane/cli/main.js');
  const ours: Ran[] = [];
  const theirs: Ran[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(
      measured([
        process.execPath,
        cli,
        'drift',
        '--reference',
        reference,
        '--current',
        current,
        '--json',
      ]),
    );
    const script = join(ROOT, 'bench/peers/evidently_drift.py');
    theirs.push(measured([PYTHON, script, reference, current]));
  }
  const heading = ['', 'wall s', 'CPU s', 'peak MiB'];
  process.stdout.write(`${table([heading, row('driftline', ours), row('Evidently', theirs)])}\n\n`);
  const ratios = (of: 'wallS' | 'cpuS') =>
    quartiles(theirs.map((one, at) => one[of] / ours[at][of]));
  process.stdout.write(`${verdict('Evidently / driftline, wall', GOAL, ratios('wallS'))}\n`);
  process.stdout.write(`${verdict('Evidently / driftline, CPU', GOAL, ratios('cpuS'))}\n`);
  const memory = quartiles(theirs.map(({ peakKiB }, at) => peakKiB / ours[at].peakKiB));
  process.stdout.write(`peak memory, Evidently / driftline: ${memory.median.toFixed(1)}\n`);
  const after = cpuTicks();
  if (before !== null && after !== null) {
    const percent = (shareOfOthers(before, after) * 100).toFixed(0);
    process.stdout.write(`CPU time of this machine that others took meanwhile: ${percent}%\n`);
  }
  if (!ours.every(sameDrift)) {
    process.stdout.write('driftline did not find exactly the columns that had moved\n');
    process.exitCode = 1;
  }
}

main();
