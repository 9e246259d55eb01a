import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { BenchChild, chooseCores } from './support/child.ts';
import type { LoadCommand, LoadResult } from './support/load.ts';
import { describeMortgage, INFER_PATH, inferBody, trafficRows } from './support/mortgage.ts';
import { machineLine, median, quartiles, showQuartiles, table } from './support/report.ts';
import type { ServerAnswer, ServerCommand } from './support/server-protocol.ts';

const QUESTION =
  'What does the agent cost over a bare node:http server that parses the same JSON and calls the same session.run?';

const CONNECTIONS = [1, 16, 64];
const PAIRS = 9;
const WINDOW_MS = 1500;
const GOAL = { connections: 64, ratio: 0.6 };
const COMPARED_ROWS = 50;

interface Server {
  readonly name: string;
  readonly child: BenchChild<ServerCommand, ServerAnswer>;
  readonly port: number;
  answered: number;
}

interface Measured extends LoadResult {
  readonly cpuUsPerRequest: number;
}

type Load = BenchChild<LoadCommand, LoadResult>;

async function startServer(
  name: string,
  script: string,
  core: number | null,
  arg: string,
): Promise<Server> {
  const { child, first } = await BenchChild.start<ServerCommand, ServerAnswer>(script, core, [arg]);
  if (first.kind !== 'listening') throw new Error(`${script} said ${first.kind} first`);
  return { name, child, port: first.port, answered: 0 };
}

async function cpuUs(server: Server): Promise<number> {
  const answer = await server.child.ask({ kind: 'usage' });
  if (answer.kind !== 'usage') throw new Error(`${server.name} answered ${answer.kind}`);
  return answer.cpuUs;
}

async function measure(server: Server, load: Load, connections: number): Promise<Measured> {
  const before = await cpuUs(server);
  const result = await load.ask({ port: server.port, connections, durationMs: WINDOW_MS });
  const spent = (await cpuUs(server)) - before;
  server.answered += result.requests;
  return { ...result, cpuUsPerRequest: spent / result.requests };
}

/** Agent, bare, agent, bare, ...; the first pair warms both up and is thrown away. */
async function alternate(agent: Server, bare: Server, load: Load, connections: number) {
  const pairs: { agent: Measured; bare: Measured }[] = [];
  for (let pair = 0; pair <= PAIRS; pair += 1) {
    const measured = {
      agent: await measure(agent, load, connections),
      bare: await measure(bare, load, connections),
    };
    if (pair > 0) pairs.push(measured);
  }
  return pairs;
}

/** A comparison of speed is one only between servers that say the same. */
async function requireSameOutputs(agent: Server, bare: Server): Promise<void> {
  const outputsOf = async (server: Server, body: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${INFER_PATH}`, {
      method: 'POST',
      body,
    });
    server.answered += 1;
    return ((await response.json()) as { outputs: unknown }).outputs;
  };
  for (const row of (await trafficRows()).slice(0, COMPARED_ROWS)) {
    const body = inferBody([row]);
    if (!isDeepStrictEqual(await outputsOf(agent, body), await outputsOf(bare, body))) {
      throw new Error(`the servers differ on ${body}`);
    }
  }
}

const HEADING = [
  'conns',
  'server',
  'req/s',
  'ratio (q1-q3)',
  'CPU us/req',
  'ratio (q1-q3)',
  'p50 us',
  'p99 us',
  'errors',
];

function rowOf(
  connections: number,
  name: string,
  windows: readonly Measured[],
  [speed, cpu]: readonly [string, string],
): string[] {
  return [
    String(connections),
    name,
    median(windows.map((w) => w.perSecond)).toFixed(0),
    speed,
    median(windows.map((w) => w.cpuUsPerRequest)).toFixed(1),
    cpu,
    median(windows.map((w) => w.p50Us)).toFixed(0),
    median(windows.map((w) => w.p99Us)).toFixed(0),
    String(windows.reduce((sum, w) => sum + w.errors, 0)),
  ];
}

async function compare(agent: Server, bare: Server, load: Load): Promise<boolean> {
  const rows = [HEADING];
  let errors = 0;
  let goal = Number.NaN;
  for (const connections of CONNECTIONS) {
    const pairs = await alternate(agent, bare, load, connections);
    const speed = quartiles(pairs.map((pair) => pair.agent.perSecond / pair.bare.perSecond));
    const cpu = quartiles(
      pairs.map((pair) => pair.agent.cpuUsPerRequest / pair.bare.cpuUsPerRequest),
    );
    if (connections === GOAL.connections) goal = speed.median;
    errors += pairs.reduce((sum, pair) => sum + pair.agent.errors + pair.bare.errors, 0);
    const ofAgent = pairs.map((pair) => pair.agent);
    const ofBare = pairs.map((pair) => pair.bare);
    rows.push(rowOf(connections, agent.name, ofAgent, [showQuartiles(speed), showQuartiles(cpu)]));
    rows.push(rowOf(connections, bare.name, ofBare, ['1', '1']));
  }
  const verdict = goal >= GOAL.ratio ? 'met' : 'missed';
  process.stdout.write(
    `${table(rows)}\n\ngoal at ${GOAL.connections} connections: >= ${GOAL.ratio}; ${goal.toFixed(2)}, ${verdict}\n`,
  );
  return errors === 0;
}

/** What was timed must also have been counted, row for row. */
async function observedAll(agent: Server): Promise<boolean> {
  const answer = await agent.child.ask({ kind: 'finish' });
  const observed = answer.kind === 'finished' ? answer.observedRows : null;
  process.stdout.write(
    `rows answered by the agent: ${agent.answered}; in its windows: ${observed}\n`,
  );
  return observed === agent.answered;
}

async function main(): Promise<boolean> {
  const cores = chooseCores();
  const folder = await mkdtemp(join(tmpdir(), 'driftline-bench-'));
  const children: { stop(): Promise<void> }[] = [];
  try {
    const files = await describeMortgage(folder);
    const agent = await startServer(
      'agent',
      'server-agent.js',
      cores.server,
      JSON.stringify(files),
    );
    children.push(agent.child);
    const bare = await startServer('bare', 'server-bare.js', cores.server, files.modelPath);
    children.push(bare.child);
    const load = await BenchChild.start<LoadCommand, LoadResult>('load.js', cores.load);
    children.push(load.child);
    await requireSameOutputs(agent, bare);
    process.stdout.write(
      `${QUESTION}\n${machineLine(cores)}\n${PAIRS} pairs of ${WINDOW_MS} ms windows, medians\n\n`,
    );
    const faultless = await compare(agent, bare, load.child);
    return (await observedAll(agent)) && faultless;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
