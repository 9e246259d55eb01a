import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '../agent/engine/model/runtime.ts';
import { ArmGuard } from '../agent/engine/observe/arm-guard.ts';
import { allocatedPerCall } from './support/allocated.ts';
import { QUICK } from './support/bench.ts';
import { GuardedHost } from './support/guarded-host.ts';
import { atMost, machineLine, quartiles, showQuartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'How long from the answer that passes a threshold to the first answer by the last good version?';

const TRIPS = QUICK ? 5 : 41;
const ENGINES = 2;
const GOAL_MS = 50;

const ANSWERS = 4096;
const ROUNDS = QUICK ? 5 : 41;
/** Of one answer: a score and its complement. */
const OUTPUTS: ReadonlyMap<string, Tensor> = new Map([
  ['y', { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(0.25, 0.75) }],
]);

/** Milliseconds from the breaching answer, as its client sees it: in its engine, in the other, and on the disk. */
async function trip(host: GuardedHost): Promise<readonly [number, number, number]> {
  await host.decide();
  const [one, other] = [host.connect(), host.connect()];
  if ((await one(1)) !== 2 || (await other(1)) !== 2) throw new Error('version 2 does not serve');
  const onDisk = host.onDisk();
  if ((await one(-1)) !== 2) throw new Error('the breaching answer was not version 2');
  const start = performance.now();
  const written = onDisk.then(() => performance.now() - start);
  if ((await one(-1)) !== 1) throw new Error('its engine answered with version 2 again');
  const here = performance.now() - start;
  while ((await other(1)) !== 1);
  return [here, performance.now() - start, await written];
}

/** Nanoseconds and bytes that a guard takes of one good answer, with all three counted thresholds set. */
function cost(): { ns: number[]; bytes: number } {
  const latency = { budgetUs: 1_000_000, maxShare: 0.5 };
  const guard = new ArmGuard({ maxNonFinite: 0, maxErrorShare: 0.1, latency }, null, () => {
    throw new Error('nothing of this is bad');
  });
  const pass = () => {
    for (let at = 0; at < ANSWERS; at += 1) guard.answered(OUTPUTS, OUTPUTS, at, 'decision');
  };
  const bytes = allocatedPerCall(pass) / ANSWERS;
  const ns = Array.from({ length: ROUNDS }, () => {
    const { user, system } = process.cpuUsage();
    for (let again = 0; again < 16; again += 1) pass();
    const spent = process.cpuUsage({ user, system });
    return ((spent.user + spent.system) * 1000) / (16 * ANSWERS);
  });
  return { ns, bytes };
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
const folder = await mkdtemp(join(tmpdir(), 'driftline-guard-'));
const host = await GuardedHost.start(folder, ENGINES);
const trips: (readonly [number, number, number])[] = [];
try {
  await trip(host);
  for (let k = 0; k < TRIPS; k += 1) trips.push(await trip(host));
} finally {
  await host.stop();
  await rm(folder, { recursive: true, force: true });
}
const columns = [0, 1, 2].map((at) => trips.map((each) => each[at]));
const [here, others, disk] = columns.map(quartiles);
const worst = (at: number) => Math.max(...columns[at]).toFixed(2);
process.stdout.write(
  `${table([
    ['ms, median (quartiles)', '', 'worst'],
    ['the same engine', showQuartiles(here), worst(0)],
    [`every one of ${ENGINES} engines`, showQuartiles(others), worst(1)],
    ['on the disk', showQuartiles(disk), worst(2)],
  ])}\n\n`,
);
process.stdout.write(
  `${verdict('worst of all engines, ms', atMost(GOAL_MS), Math.max(...columns[1]))}\n`,
);
const { ns, bytes } = cost();
process.stdout.write(
  `a guard takes ${showQuartiles(quartiles(ns))} ns of an answer, and ${bytes.toFixed(1)} bytes of heap\n`,
);
