import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Session, Tensor } from '../agent/engine/model/runtime.ts';
import { createNodeRuntime, type NodeRuntime } from '../agent/engine/model/runtime-node.ts';
import { BenchChild } from './support/child.ts';
import { CONV_SHAPE, convModel, imageModel, TINY_FEATURES, tinyModel } from './support/models.ts';
import { machineLine, quartiles, showQuartiles, table } from './support/report.ts';
import type { RunLoopCommand, RunLoopResult, RunLoopSetup } from './support/run-loop.ts';

const QUESTION = 'What does a worker thread cost per call, and what do two of them give?';

const ROUNDS = 11;
const TINY_WINDOW_MS = 150;
/** A window holds some twenty calls of the convolution. */
const CONV_WINDOW_MS = 400;

/** How long the neighbour computes: as long as the rounds beside it take. */
const SHARED_MS = 2 * (ROUNDS + 1) * CONV_WINDOW_MS;

type Inputs = ReadonlyMap<string, Tensor>;

interface Contender {
  readonly name: string;
  /** Calls per second over one window. */
  rate(ms: number): Promise<number>;
  release(): Promise<void>;
}

function inputOf(shape: readonly number[]): Inputs {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length }, (_, at) => Math.sin(at));
  return new Map([['x', { datatype: 'FP32', shape, data }]]);
}

/** `concurrency`: calls kept on their way. */
function called(name: string, session: Session, x: Inputs, concurrency: number): Contender {
  const rate = async (ms: number) => {
    const start = performance.now();
    let calls = 0;
    const caller = async () => {
      while (performance.now() - start < ms) {
        if (session.runSync === undefined) await session.run(x);
        else session.runSync(x);
        calls += 1;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, caller));
    return (calls * 1000) / (performance.now() - start);
  };
  return { name, rate, release: () => session.release() };
}

/** Processes that share nothing, each calling a session of its own: what the machine has to give. */
async function processes(name: string, setup: RunLoopSetup, count: number): Promise<Contender> {
  const args = [JSON.stringify(setup)];
  const loops = await Promise.all(
    Array.from({ length: count }, () =>
      BenchChild.start<RunLoopCommand, RunLoopResult>('run-loop.js', null, args),
    ),
  );
  return {
    name,
    rate: async (durationMs) => {
      const results = await Promise.all(loops.map(({ child }) => child.ask({ durationMs })));
      return results.reduce((sum, { perSecond }) => sum + perSecond, 0);
    },
    release: async () => {
      for (const { child } of loops) await child.stop();
    },
  };
}

/** Rates of all contenders, window by window in turn, so that each round sees one machine. */
async function compare(contenders: readonly Contender[], ms: number): Promise<number[][]> {
  const rounds: number[][] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const rates: number[] = [];
    for (const contender of contenders) rates.push(await contender.rate(ms));
    // The first round warms everything up.
    if (round > 0) rounds.push(rates);
  }
  return rounds;
}

/** One line a contender: microseconds per call, and its rate over that of the first one in the same round. */
function lines(contenders: readonly Contender[], rounds: readonly number[][]): string[][] {
  return contenders.map(({ name }, at) => [
    name,
    showQuartiles(quartiles(rounds.map((rates) => 1e6 / rates[at]))),
    showQuartiles(quartiles(rounds.map((rates) => rates[at] / rates[0]))),
  ]);
}

const ratio = (rounds: readonly number[][], of: number, to: number) =>
  quartiles(rounds.map((rates) => rates[of] / rates[to]));

function verdict(what: string, goal: number, rounds: readonly number[][], of: number, to: number) {
  const found = ratio(rounds, of, to);
  const met = found.median >= goal ? 'met' : 'missed';
  return `${what}: >= ${goal}; ${showQuartiles(found)}, ${met}`;
}

async function main(runtime: NodeRuntime, folder: string): Promise<void> {
  const cpu = { provider: 'cpu', intraOpThreads: 1 } as const;
  const tinyPath = join(folder, 'tiny.onnx');
  const convPath = join(folder, 'conv.onnx');
  await writeFile(tinyPath, tinyModel());
  await writeFile(convPath, convModel());
  const heading = ['session', 'us per call', 'rate / first'];

  const imagePath = join(folder, 'image.onnx');
  await writeFile(imagePath, imageModel());
  const pair = async (name: string, path: string, x: Inputs): Promise<Contender[]> => {
    const worker = await runtime.openOnWorkers(path, { ...cpu, workers: 1 });
    return [
      called(`${name} inline`, await runtime.open(path, cpu), x, 1),
      called(`${name} on a worker`, worker, x, 1),
    ];
  };
  const pixels = inputOf([1, ...CONV_SHAPE]);
  const tiny = await pair('tiny', tinyPath, inputOf([1, TINY_FEATURES]));
  const tinyRounds = await compare(tiny, TINY_WINDOW_MS);
  const image = await pair('602 KB', imagePath, pixels);
  const imageRounds = await compare(image, TINY_WINDOW_MS);

  const twoThreads = await runtime.open(convPath, { ...cpu, intraOpThreads: 2 });
  const twoWorkers = await runtime.openOnWorkers(convPath, { ...cpu, workers: 2 });
  const loop = { modelPath: convPath, shape: [1, ...CONV_SHAPE], intraOpThreads: 1 };
  const conv: Contender[] = [
    ...(await pair('conv', convPath, pixels)),
    called('conv inline, two threads', twoThreads, pixels, 1),
    called('conv on two workers', twoWorkers, pixels, 2),
    await processes('conv in two processes', loop, 2),
  ];
  const convRounds = await compare(conv, CONV_WINDOW_MS);
  // Somebody else's work on the host: what two threads that wait for each other at every operator lose most by.
  const neighbour = await processes('', loop, 1);
  const shared = conv.slice(2, 4);
  const busy = neighbour.rate(SHARED_MS);
  const sharedRounds = await compare(shared, CONV_WINDOW_MS);
  await busy;
  for (const one of [...tiny, ...image, ...conv, neighbour]) await one.release();

  const tables = [
    lines(tiny, tinyRounds),
    lines(image, imageRounds),
    lines(conv, convRounds),
    lines(shared, sharedRounds),
  ];
  const verdicts = [
    verdict('conv on a worker / inline', 0.95, convRounds, 1, 0),
    verdict('two workers of one thread / one session of two threads', 1.25, convRounds, 3, 2),
    verdict('the same, of two processes that share nothing', 1.25, convRounds, 4, 2),
    verdict('two workers / two threads beside a third that computes', 1.25, sharedRounds, 1, 0),
  ];
  process.stdout.write(
    `${QUESTION}\n${machineLine({ server: null, load: null })}\n${ROUNDS} rounds, medians and quartiles\n\n${tables
      .map((rows) => table([heading, ...rows]))
      .join('\n\n')}\n\n${verdicts.join('\n')}\n`,
  );
}

const folder = await mkdtemp(join(tmpdir(), 'driftline-placement-'));
try {
  await main(await createNodeRuntime(), folder);
} finally {
  await rm(folder, { recursive: true });
}
