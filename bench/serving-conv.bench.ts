import { randomRows, seeded } from '../test/support/random-models.ts';
import { type Bench, QUICK, runBench } from './support/bench.ts';
import { BenchChild } from './support/child.ts';
import { type Measured, measure } from './support/compare.ts';
import { describeMade } from './support/described.ts';
import { CONV_SHAPE, convModel, DENSE_FEATURES, denseModel } from './support/models.ts';
import {
  atLeast,
  atMost,
  median,
  type Quartiles,
  quartiles,
  showQuartiles,
  table,
  verdict,
} from './support/report.ts';
import { binaryRequest, getRequest } from './support/requests.ts';
import type { RunLoopCommand, RunLoopResult } from './support/run-loop.ts';
import { NodeServer } from './support/server.ts';

const QUESTION =
  'How much of what a core can compute reaches the client, and does the server still answer while it computes?';

const EFFORT = QUICK ? { rounds: 3, windowMs: 1000 } : { rounds: 9, windowMs: 1500 };
const HEALTH_EFFORT = QUICK ? { rounds: 1, windowMs: 2000 } : { rounds: 3, windowMs: 5000 };
/** One after the other, and enough that one is always waiting. */
const CONNECTIONS = [1, 4];
/** Several hundred probes a window, far from loading the server themselves. */
const HEALTH_EVERY_MS = 5;
const TENSORS = 4;

const END_TO_END = atLeast(0.95);
const HEALTH_P99_MS = atMost(5);

interface Workload {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly shape: readonly number[];
  readonly features: number;
}

interface Started {
  readonly server: NodeServer;
  readonly modelPath: string;
  readonly requests: string;
}

async function start(bench: Bench, { name, bytes, shape, features }: Workload): Promise<Started> {
  const files = await describeMade(bench.folder, name, bytes, features);
  const setup = { name, files, serving: {}, observing: true };
  const server = await NodeServer.start(name, 'server-agent.js', bench.cores.server, setup);
  bench.owns(server);
  const random = seeded(7);
  const count = shape.reduce((product, size) => product * size, 1);
  const calls = Array.from({ length: TENSORS }, () =>
    binaryRequest(name, { shape, data: randomRows(1, count, random) }),
  );
  const requests = await bench.requestFile(name, calls);
  return { server, modelPath: files.modelPath, requests };
}

/** Windows of the loop and of the server at each number of connections, in turn. */
async function endToEnd(bench: Bench, conv: Started, shape: readonly number[]): Promise<boolean> {
  const setup = { modelPath: conv.modelPath, shape, intraOpThreads: 1 };
  const { child: loop } = await BenchChild.start<RunLoopCommand, RunLoopResult>(
    'run-loop.js',
    bench.cores.server,
    [JSON.stringify(setup)],
  );
  bench.owns(loop);
  const rounds: { loop: number; served: Measured[] }[] = [];
  for (let round = 0; round <= EFFORT.rounds; round += 1) {
    const { perSecond } = await loop.ask({ durationMs: EFFORT.windowMs });
    const served: Measured[] = [];
    for (const connections of CONNECTIONS) {
      const side = {
        label: '',
        server: conv.server,
        stream: { requests: conv.requests, connections },
      };
      served.push(await measure(side, bench.load, EFFORT.windowMs));
    }
    if (round > 0) rounds.push({ loop: perSecond, served });
  }
  await loop.stop();
  const lines = [['conv', 'calls/s', 'ratio (q1-q3)', 'p50 ms', 'p99 ms', 'errors']];
  lines.push(['run loop', median(rounds.map((r) => r.loop)).toFixed(1), '1', '', '', '']);
  const verdicts: string[] = [];
  for (const [at, connections] of CONNECTIONS.entries()) {
    const windows = rounds.map(({ served }) => served[at]);
    const share = quartiles(rounds.map((r) => r.served[at].perSecond / r.loop));
    lines.push([
      `served, ${connections} conns`,
      median(windows.map((w) => w.perSecond)).toFixed(1),
      showQuartiles(share),
      (median(windows.map((w) => w.p50Us)) / 1000).toFixed(1),
      (median(windows.map((w) => w.p99Us)) / 1000).toFixed(1),
      String(windows.reduce((sum, w) => sum + w.errors, 0)),
    ]);
    verdicts.push(verdict(`conv, ${connections} conns / run loop`, END_TO_END, share));
  }
  process.stdout.write(
    `${EFFORT.rounds} rounds of ${EFFORT.windowMs} ms windows, medians\n\n${table(lines)}\n\n${verdicts.join('\n')}\n\n`,
  );
  return rounds.every(({ served }) => served.every(({ errors }) => errors === 0));
}

/** `GET /v2/health/live` while the model never rests. */
async function health(bench: Bench, { server, requests }: Started): Promise<boolean> {
  const probes = await bench.requestFile('health', [getRequest('/v2/health/live')]);
  const p99Ms: number[] = [];
  let faultless = true;
  for (let round = 0; round < HEALTH_EFFORT.rounds; round += 1) {
    const [calls, probed] = await bench.load.ask({
      port: server.port,
      durationMs: HEALTH_EFFORT.windowMs,
      streams: [
        { requests, connections: Math.max(...CONNECTIONS) },
        { requests: probes, connections: 1, everyMs: HEALTH_EVERY_MS },
      ],
    });
    faultless &&= calls.errors === 0 && probed.errors === 0 && calls.requests > 0;
    p99Ms.push(probed.p99Us / 1000);
    process.stdout.write(
      `${server.name}: ${calls.perSecond.toFixed(1)} calls/s; ${probed.requests} probes, p50 ${(probed.p50Us / 1000).toFixed(2)} ms, p99 ${(probed.p99Us / 1000).toFixed(2)} ms\n`,
    );
  }
  const worst: Quartiles = quartiles(p99Ms);
  process.stdout.write(
    `${verdict(`health p99 while ${server.name} is saturated, ms`, HEALTH_P99_MS, worst)}\n\n`,
  );
  return faultless;
}

await runBench(QUESTION, async (bench) => {
  const shape = [1, ...CONV_SHAPE];
  const conv = await start(bench, { name: 'conv', bytes: convModel(), shape, features: 0 });
  let faultless = await endToEnd(bench, conv, shape);
  faultless = (await health(bench, conv)) && faultless;
  await conv.server.stop();
  const dense = await start(bench, {
    name: 'dense',
    bytes: denseModel(),
    shape: [1, DENSE_FEATURES],
    features: 0,
  });
  return (await health(bench, dense)) && faultless;
});
