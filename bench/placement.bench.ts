import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Session, Tensor } from '../agent/engine/model/runtime.ts';
import { createNodeRuntime, type NodeRuntime } from '../agent/engine/model/runtime-node.ts';
import { CONV_SHAPE, convModel, imageModel, TINY_FEATURES, tinyModel } from './support/models.ts';
import { machineLine, quartiles, showQuartiles, table } from './support/report.ts';

const QUESTION = 'What does a worker thread cost per call, and what do two of them give?';

const ROUNDS = 11;
const TINY_WINDOW_MS = 150;
/** A window holds some twenty calls of the convolution. */
const CONV_WINDOW_MS = 400;

type Inputs = ReadonlyMap<string, Tensor>;

interface Contender {
  readonly name: string;
  readonly session: Session;
  /** Calls kept on their way. */
  readonly concurrency: number;
}

function inputOf(shape: readonly number[]): Inputs {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length }, (_, at) => Math.sin(at));
  return new Map([['x', { datatype: 'FP32', shape, data }]]);
}

/** Calls per second over one window. */
async function rate({ session, concurrency }: Contender, x: Inputs, ms: number): Promise<number> {
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
}

/** Rates of all contenders, window by window in turn, so that each round sees one machine. */
async function compare(
  contenders: readonly Contender[],
  x: Inputs,
  ms: number,
): Promise<number[][]> {
  const rounds: number[][] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const rates: number[] = [];
    for (const contender of contenders) rates.push(await rate(contender, x, ms));
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
  const pair = async (name: string, path: string): Promise<Contender[]> => {
    const worker = await runtime.openOnWorkers(path, { ...cpu, workers: 1 });
    return [
      { name: `${name} inline`, session: await runtime.open(path, cpu), concurrency: 1 },
      { name: `${name} on a worker`, session: worker, concurrency: 1 },
    ];
  };
  const tiny = await pair('tiny', tinyPath);
  const tinyRounds = await compare(tiny, inputOf([1, TINY_FEATURES]), TINY_WINDOW_MS);
  const image = await pair('602 KB', imagePath);
  const imageRounds = await compare(image, inputOf([1, ...CONV_SHAPE]), TINY_WINDOW_MS);

  const two = { ...cpu, intraOpThreads: 2 };
  const conv: Contender[] = [
    ...(await pair('conv', convPath)),
    {
      name: 'conv inline, two threads',
      session: await runtime.open(convPath, two),
      concurrency: 1,
    },
    {
      name: 'conv on two workers',
      session: await runtime.openOnWorkers(convPath, { ...cpu, workers: 2 }),
      concurrency: 2,
    },
  ];
  const convRounds = await compare(conv, inputOf([1, ...CONV_SHAPE]), CONV_WINDOW_MS);
  await Promise.all([...tiny, ...image, ...conv].map(({ session }) => session.release()));

  const tables = [lines(tiny, tinyRounds), lines(image, imageRounds), lines(conv, convRounds)];
  const verdicts = [
    verdict('conv on a worker / inline', 0.95, convRounds, 1, 0),
    verdict('two workers of one thread / one session of two threads', 1.25, convRounds, 3, 2),
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
