import { agrees } from '../agent/engine/model/executor/admit-executor.ts';
import { compile } from '../agent/engine/model/executor/compile.ts';
import { openCompiled } from '../agent/engine/model/executor/open-compiled.ts';
import type { Session, Tensor } from '../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../agent/engine/model/runtime-node.ts';
import { mlpModel, randomRows, seeded, treeModel } from '../test/support/random-models.ts';
import { machineLine, median, quartiles, table } from './support/report.ts';

const QUESTION = 'How much faster is the TypeScript executor than ONNX Runtime behind session.run?';

/** Around the place where dense layers lose (`MAX_DENSE_ROWS`), and as many as a batch has. */
const ROWS = [1, 4, 8, 64];
const PAIRS = 15;
/** Long enough for the clock, short enough that both see the same machine. */
const WINDOW_MS = 100;
/** Different rows, so that no branch predictor learns the input by heart. */
const INPUTS = 64;

const MODELS = [
  {
    name: 'gbdt',
    goal: 5,
    features: 32,
    bytes: treeModel(
      {
        kind: 'classifier',
        trees: 100,
        depth: 6,
        features: 32,
        targets: 2,
        postTransform: 'LOGISTIC',
        base: [0.1],
      },
      1,
    ),
  },
  {
    name: 'tiny',
    goal: 2,
    features: 16,
    bytes: mlpModel({ widths: [16, 64, 32, 2], activation: 'Relu', form: 'gemm' }, 2),
  },
];

type Sample = ReadonlyMap<string, Tensor>;

/** Microseconds per call over one window, each call awaited as a server would. */
async function window(session: Session, samples: readonly Sample[]): Promise<number> {
  let calls = 0;
  const start = performance.now();
  let now = start;
  while (now - start < WINDOW_MS) {
    for (let i = 0; i < 4; i += 1) {
      await session.run(samples[calls % samples.length]);
      calls += 1;
    }
    now = performance.now();
  }
  return ((now - start) * 1000) / calls;
}

function samplesOf(rows: number, features: number): Sample[] {
  const random = seeded(rows);
  return Array.from({ length: INPUTS }, () => {
    const data = randomRows(rows, features, random);
    return new Map([['x', { datatype: 'FP32' as const, shape: [rows, features], data }]]);
  });
}

async function main(): Promise<void> {
  const runtime = await createNodeRuntime();
  const lines = [['model', 'rows', 'ours us', 'session.run us', 'ratio (q1-q3)']];
  const verdicts: string[] = [];
  for (const { name, goal, features, bytes } of MODELS) {
    const compiled = compile(bytes);
    if (compiled.kind !== 'compiled') throw new Error(compiled.reason);
    const ours = openCompiled(compiled.model);
    const reference = await runtime.open(bytes);
    for (const rows of ROWS) {
      const samples = samplesOf(rows, features);
      // A comparison of speed is one only between executors that say the same.
      const agreement = await agrees(compiled.model, reference, samples);
      if (agreement.kind === 'differs')
        throw new Error(`${name}, sample ${agreement.sample}: ${agreement.reason}`);
      const pairs: { ours: number; reference: number }[] = [];
      for (let pair = 0; pair <= PAIRS; pair += 1) {
        const a = await window(ours, samples);
        const b = await window(reference, samples);
        // The first pair warms both up.
        if (pair > 0) pairs.push({ ours: a, reference: b });
      }
      const ratio = quartiles(pairs.map((pair) => pair.reference / pair.ours));
      if (rows === 1) {
        const verdict = ratio.median >= goal ? 'met' : 'missed';
        verdicts.push(`${name} at one row: >= ${goal}; ${ratio.median.toFixed(2)}, ${verdict}`);
      }
      lines.push([
        name,
        String(rows),
        median(pairs.map((pair) => pair.ours)).toFixed(2),
        median(pairs.map((pair) => pair.reference)).toFixed(2),
        `${ratio.median.toFixed(2)} (${ratio.q1.toFixed(2)}-${ratio.q3.toFixed(2)})`,
      ]);
    }
    await reference.release();
  }
  process.stdout.write(
    `${QUESTION}\n${machineLine({ server: null, load: null })}\n${PAIRS} pairs of ${WINDOW_MS} ms windows, medians\n\n${table(lines)}\n\n${verdicts.join('\n')}\n`,
  );
}

await main();
