import type { ModelFiles } from '../agent/engine/messages.ts';
import { randomRows, seeded } from '../test/support/random-models.ts';
import { type Bench, QUICK, runBench } from './support/bench.ts';
import {
  alternate,
  COMPARE_HEADING,
  compareRow,
  errorsIn,
  ratio,
  type Side,
  type Windows,
} from './support/compare.ts';
import { describeMade } from './support/described.ts';
import { CONV_SHAPE, convModel, TINY_FEATURES, tinyModel } from './support/models.ts';
import { isInstalled, PEERS, PeerServer, versionOf } from './support/peer.ts';
import { atLeast, type Goal, median, table, verdict } from './support/report.ts';
import { binaryRequest, type FloatTensor, jsonRequest } from './support/requests.ts';
import { requireSameTensors } from './support/same-outputs.ts';
import { NodeServer, type Server } from './support/server.ts';
import type { FloorSetup } from './support/server-floor.ts';

const QUESTION =
  'How many calls of one ONNX file does one core answer, over the servers that people use for it?';

interface Scenario {
  readonly model: string;
  readonly bytes: Uint8Array;
  readonly features: number;
  readonly shape: readonly number[];
  /** Different tensors that are sent in turn. */
  readonly tensors: number;
  readonly connections: number;
  readonly effort: { readonly rounds: number; readonly windowMs: number };
  readonly goal: Goal;
}

const SCENARIOS: readonly Scenario[] = [
  {
    model: 'tiny',
    bytes: tinyModel(),
    features: TINY_FEATURES,
    shape: [1, TINY_FEATURES],
    tensors: 256,
    connections: 64,
    effort: QUICK ? { rounds: 1, windowMs: 500 } : { rounds: 5, windowMs: 1000 },
    goal: atLeast(10),
  },
  {
    model: 'conv',
    bytes: convModel(),
    features: 0,
    shape: [1, ...CONV_SHAPE],
    tensors: 4,
    connections: 4,
    effort: QUICK ? { rounds: 1, windowMs: 1000 } : { rounds: 4, windowMs: 1500 },
    goal: atLeast(1),
  },
];

/** As long as our JSON answer of `tiny` is. */
const CANNED = JSON.stringify({
  model_name: 'tiny',
  model_version: '1',
  parameters: { decision_id: '0'.repeat(36), arm: 'stable', generation: 1 },
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [0.12345678, -0.12345678] }],
});

type Form = 'JSON' | 'binary';

interface Contender {
  readonly server: Server;
  readonly forms: readonly Form[];
}

async function startPeers(
  bench: Bench,
  model: string,
  modelPath: string,
  probe: Buffer,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const kind of PEERS.filter(isInstalled)) {
    const options = { model, modelPath, core: bench.cores.server, probe };
    const server = bench.owns(await PeerServer.start(kind, options));
    contenders.push({ server, forms: kind.binary ? ['JSON', 'binary'] : ['JSON'] });
  }
  return contenders;
}

/**
 * What explains our figures and is in no comparison: where a request is small, what Node itself takes of it; where the
 * model is large, what it costs us to keep it off the thread that answers.
 */
async function startOthersOfOurs(
  bench: Bench,
  { model, goal }: Scenario,
  files: ModelFiles,
): Promise<Contender[]> {
  const core = bench.cores.server;
  if (goal.value <= 1) {
    const setup = { name: model, files, serving: { placement: 'inline' }, observing: true };
    const server = await NodeServer.start('ours inline', 'server-agent.js', core, setup);
    return [{ server: bench.owns(server), forms: ['JSON', 'binary'] }];
  }
  const contenders: Contender[] = [];
  for (const under of ['node:http', 'node:net'] as const) {
    const setup: FloorSetup = { under, body: CANNED };
    const server = await NodeServer.start(`${under} alone`, 'server-floor.js', core, setup);
    contenders.push({ server: bench.owns(server), forms: ['JSON'] });
  }
  return contenders;
}

async function compare(bench: Bench, scenario: Scenario): Promise<boolean> {
  const { model, bytes, features, shape, connections, effort } = scenario;
  const files = await describeMade(bench.folder, model, bytes, features);
  const random = seeded(7);
  const count = shape.reduce((product, size) => product * size, 1);
  const tensors = Array.from(
    { length: scenario.tensors },
    (): FloatTensor => ({ shape, data: randomRows(1, count, random) }),
  );
  const requests = {
    JSON: tensors.map((tensor) => jsonRequest(model, tensor)),
    binary: tensors.map((tensor) => binaryRequest(model, tensor)),
  };
  const setup = { name: model, files, serving: {}, observing: true };
  const ours = bench.owns(
    await NodeServer.start('ours', 'server-agent.js', bench.cores.server, setup),
  );
  const peers = await startPeers(bench, model, files.modelPath, requests.JSON[0]);
  const all: Contender[] = [{ server: ours, forms: ['JSON', 'binary'] }, ...peers];
  await requireSameTensors(
    all.map(({ server }) => server.port),
    requests.JSON.slice(0, 2),
  );
  const binaryPorts = all.filter(({ forms }) => forms.includes('binary'));
  await requireSameTensors(
    binaryPorts.map(({ server }) => server.port),
    requests.binary.slice(0, 2),
  );
  for (const { server } of peers) server.pause?.();
  const paths = {
    JSON: await bench.requestFile(`${model}-json`, requests.JSON),
    binary: await bench.requestFile(`${model}-binary`, requests.binary),
  };
  const explaining = await startOthersOfOurs(bench, scenario, files);
  const sides = [...all, ...explaining].flatMap(({ server, forms }) =>
    forms.map(
      (form): Side => ({
        label: `${server.name} ${form}`,
        server,
        stream: { requests: paths[form], connections },
      }),
    ),
  );
  const { measured } = await alternate(sides, bench.load, effort);
  for (const { server } of [...all, ...explaining]) await server.stop();
  const compared = all.reduce((sum, { forms }) => sum + forms.length, 0);
  report(scenario, measured, compared);
  return errorsIn(measured) === 0;
}

/** The first two of `measured` are ours; from `compared` on they only explain. */
function report(
  { model, connections, effort, goal }: Scenario,
  measured: readonly Windows[],
  compared: number,
): void {
  const [ourJson, ourBinary, ...others] = measured.slice(0, compared);
  const lines = [COMPARE_HEADING, ...measured.map((one) => compareRow(connections, one, ourJson))];
  const { rounds, windowMs } = effort;
  process.stdout.write(
    `${model}: ${rounds} rounds of ${windowMs} ms windows, medians; ratios to ours in JSON\n\n${table(lines)}\n\n`,
  );
  const speed = ({ windows }: Windows) => median(windows.map(({ perSecond }) => perSecond));
  const inJson = others.filter(({ label }) => label.endsWith(' JSON'));
  const [best] = [...inJson].sort((a, b) => speed(b) - speed(a));
  const [bestOfAll] = [...others].sort((a, b) => speed(b) - speed(a));
  if (best === undefined) return;
  process.stdout.write(
    `${verdict(`${model}, ours JSON / ${best.label}, the best in JSON`, goal, ratio(ourJson, best))}\n` +
      `${verdict(`${model}, ours binary / ${bestOfAll.label}, the best in any form`, goal, ratio(ourBinary, bestOfAll))}\n` +
      `${verdict(`${model}, ours binary / ${best.label}`, goal, ratio(ourBinary, best))}\n\n`,
  );
}

await runBench(QUESTION, async (bench) => {
  for (const kind of PEERS) {
    const state = isInstalled(kind) ? versionOf(kind) : 'not installed, left out';
    process.stdout.write(`${kind.title}: ${state}\n`);
  }
  if (!PEERS.some(isInstalled)) process.stdout.write('none is: run bench/peers/install.sh\n');
  process.stdout.write('\n');
  let faultless = true;
  for (const scenario of SCENARIOS) faultless = (await compare(bench, scenario)) && faultless;
  return faultless;
});
