import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { SimulationResult } from '../agent/simulate/result.ts';
import type { BareClientCommand } from './support/bare-fleet-client.ts';
import type { BareFleetAnswer, BareFleetCommand } from './support/bare-fleet-server.ts';
import { QUICK } from './support/bench.ts';
import { BenchChild, chooseCores } from './support/child.ts';
import { LiveControl } from './support/live-control.ts';
import { atMost, machineLine, median, table, verdict } from './support/report.ts';

const QUESTION =
  'What does a fleet cost one control plane, and how soon has a rollback reached all of it, over nothing but ws?';

const AGENTS = QUICK ? 200 : Number(process.env.BENCH_AGENTS ?? 5_000);
const SECONDS = QUICK ? 20 : 90;
const BROADCASTS = 5;
const DIST = resolve(import.meta.dirname, '..');

interface Bare {
  readonly bytesPerConnection: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function bare(cores: ReturnType<typeof chooseCores>): Promise<Bare> {
  const server = await BenchChild.start<BareFleetCommand, BareFleetAnswer>(
    'bare-fleet-server.js',
    cores.server,
  );
  const client = await BenchChild.start<BareClientCommand, number>(
    'bare-fleet-client.js',
    cores.load,
  );
  try {
    const { port, rssBytes } = server.first;
    await client.child.ask({ connect: AGENTS, port });
    const linked = await server.child.ask({ kind: 'state' });
    const times: (readonly number[])[] = [];
    for (let at = 0; at < BROADCASTS; at += 1) {
      times.push((await server.child.ask({ kind: 'broadcast' })).acknowledgedMs);
    }
    const at = (q: number) =>
      median(times.slice(1).map((all) => all[Math.floor(q * (all.length - 1))]));
    const bytesPerConnection = (linked.rssBytes - rssBytes) / AGENTS;
    return { bytesPerConnection, p50Ms: at(0.5), p99Ms: at(0.99) };
  } finally {
    await client.child.stop();
    await server.child.stop();
  }
}

/** `driftline simulate --json` against a control plane with two versions of the example. */
async function ours(cores: ReturnType<typeof chooseCores>): Promise<SimulationResult> {
  const folder = await mkdtemp(join(tmpdir(), 'driftline-fleet-'));
  const control = await LiveControl.start(folder, cores.server);
  try {
    await control.deployTwoVersions('mortgage', join(folder, 'mortgage'), 30_000);
    return await simulate(control, cores.load);
  } finally {
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function simulate(control: LiveControl, core: number | null): Promise<SimulationResult> {
  const flags = ['--agents', AGENTS, '--seconds', SECONDS, '--control', control.url];
  const what = [
    'agent/program/main.js',
    'simulate',
    ...flags,
    '--rollback',
    'mortgage@1',
    '--json',
  ];
  const node = [process.execPath, join(DIST, String(what[0])), ...what.slice(1).map(String)];
  const [program, ...rest] = core === null ? node : ['taskset', '-c', `${core}`, ...node];
  const env = { ...process.env, DRIFTLINE_TOKEN: control.token };
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  await new Promise((ended) => child.once('exit', ended));
  return JSON.parse(text) as SimulationResult;
}

const cores = chooseCores();
process.stdout.write(
  `${QUESTION}\n${machineLine(cores)}; ${AGENTS} agents${QUICK ? '; quick' : ''}\n\n`,
);
const floor = await bare(cores);
const fleet = await ours(cores);
const { rollback, controlPlane } = fleet;
process.stdout.write(
  `${table([
    ['', 'bytes per agent', 'p50 ms', 'p99 ms', 'last ms'],
    [
      'bare ws: broadcast and acknowledgement',
      floor.bytesPerConnection.toFixed(0),
      floor.p50Ms.toFixed(0),
      floor.p99Ms.toFixed(0),
      '',
    ],
    [
      'control plane: rollback asked for, signed, durable, acknowledged',
      String(controlPlane.bytesPerAgent),
      ...[rollback?.p50Ms, rollback?.p99Ms, rollback?.lastMs].map((ms) => String(ms ?? '')),
    ],
  ])}\n\n`,
);
process.stdout.write(
  [
    `${fleet.connected} of ${fleet.agents} linked after ${(fleet.linkedAfterMs / 1000).toFixed(1)} s; ${controlPlane.rssMB} MB`,
    `${fleet.windowsProduced} windows made, ${fleet.windowsMerged} merged, ${fleet.windowsDropped} dropped`,
    verdict(
      'event-loop delay, p99 of the worst 15 s, ms',
      atMost(50),
      controlPlane.eventLoopDelayP99Ms,
    ),
    verdict(
      'bytes per agent / bare',
      atMost(1.5),
      controlPlane.bytesPerAgent / floor.bytesPerConnection,
    ),
    `the document was there after p50 ${rollback?.told.p50Ms} ms, p99 ${rollback?.told.p99Ms} ms: all agents verify theirs in one process, one after the other`,
    verdict(
      'document there, p99 / bare',
      atMost(1.3),
      (rollback?.told.p99Ms ?? Number.NaN) / floor.p99Ms,
    ),
    verdict('rollback p99 / bare', atMost(1.3), (rollback?.p99Ms ?? Number.NaN) / floor.p99Ms),
    verdict('rollback p99, ms', atMost(150), rollback?.p99Ms ?? Number.NaN),
    '',
  ].join('\n'),
);
if (fleet.windowsProduced !== fleet.windowsMerged || fleet.connected !== fleet.agents)
  process.exitCode = 1;
