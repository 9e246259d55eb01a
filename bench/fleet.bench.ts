import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SimulationResult } from '../agent/simulate/result.ts';
import type { BareClientCommand } from './support/bare-fleet-client.ts';
import type { BareFleetAnswer, BareFleetCommand } from './support/bare-fleet-server.ts';
import { QUICK } from './support/bench.ts';
import { BenchChild, chooseCores } from './support/child.ts';
import { LiveControl } from './support/live-control.ts';
import { atMost, machineLine, median, table, verdict } from './support/report.ts';
import { onCore, simulate } from './support/simulation.ts';

const QUESTION =
  'What does a fleet cost one control plane, and how soon has a rollback reached all of it, over nothing but ws?';

const AGENTS = QUICK ? 200 : Number(process.env.BENCH_AGENTS ?? 5_000);
const SECONDS = QUICK ? 20 : Number(process.env.BENCH_SECONDS ?? 150);
/** Of each the median is told; the first of bare is not counted, nor are the first two of ours. */
const [BROADCASTS, ROLLBACKS] = [7, 6];

interface Times {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lastMs: number;
}

interface Bare extends Times {
  readonly bytesPerConnection: number;
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
    return { bytesPerConnection, p50Ms: at(0.5), p99Ms: at(0.99), lastMs: at(1) };
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
    const flags = ['--agents', AGENTS, '--seconds', SECONDS, '--rollback', 'mortgage@1'];
    flags.push('--rollbacks', ROLLBACKS);
    return await simulate(control, flags, onCore(cores.load));
  } finally {
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const cores = chooseCores();
process.stdout.write(
  `${QUESTION}\n${machineLine(cores)}; ${AGENTS} agents${QUICK ? '; quick' : ''}\n\n`,
);
const floor = await bare(cores);
const fleet = await ours(cores);
const { rollback, controlPlane } = fleet;
const acknowledgedMs = rollback?.acknowledged.p99Ms ?? Number.NaN;
const row = (times: Times | undefined) =>
  [times?.p50Ms, times?.p99Ms, times?.lastMs].map((ms) => ms?.toFixed(0) ?? '');
process.stdout.write(
  `${table([
    ['', 'bytes per agent', 'p50 ms', 'p99 ms', 'last ms'],
    ['bare ws: broadcast and acknowledgement', floor.bytesPerConnection.toFixed(0), ...row(floor)],
    ['asked for, signed, durable, document with the agent', '', ...row(rollback?.told)],
    [
      'and its report with the control plane',
      String(controlPlane.quiet?.bytesPerAgent ?? ''),
      ...row(rollback?.acknowledged),
    ],
  ])}\n\n`,
);
process.stdout.write(
  [
    `${fleet.connected} of ${fleet.agents} linked after ${(fleet.linkedAfterMs / 1000).toFixed(1)} s; ${controlPlane.rssMB} MB`,
    `${fleet.windowsProduced} windows made, ${fleet.windowsMerged} merged, ${fleet.windowsDropped} dropped`,
    `p99 of each rollback: ${rollback?.p99OfEachMs.join(', ')} ms; confirmed by at least ${rollback?.leastConfirmed}`,
    `${rollback?.confirmed} agents answered, ${rollback?.verifiedLate} documents were verified after that`,
    verdict(
      'event-loop delay, p99 of the worst 15 s, ms',
      atMost(50),
      controlPlane.quiet?.eventLoopDelayP99Ms ?? Number.NaN,
    ),
    `the same through the rollbacks: ${controlPlane.eventLoopDelayP99Ms}`,
    verdict(
      'bytes per agent / bare',
      atMost(1.5),
      (controlPlane.quiet?.bytesPerAgent ?? Number.NaN) / floor.bytesPerConnection,
    ),
    `bytes per agent after the rollbacks: ${controlPlane.bytesPerAgent}`,
    verdict('acknowledged, p99 / bare', atMost(1.3), acknowledgedMs / floor.p99Ms),
    verdict('acknowledged, p99 ms', atMost(AGENTS > 5_000 ? 300 : 150), acknowledgedMs),
    verdict('acknowledged, last ms', atMost(1_000), rollback?.acknowledged.lastMs ?? Number.NaN),
    '',
  ].join('\n'),
);
if (fleet.windowsProduced !== fleet.windowsMerged || fleet.connected !== fleet.agents)
  process.exitCode = 1;
