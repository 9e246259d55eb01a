import { learnTensor } from '../agent/describe/tensor/learn-tensor.ts';
import type { Tensor } from '../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../agent/engine/model/runtime-node.ts';
import { TensorObserver } from '../agent/engine/observe/tensors.ts';
import { emptyTensorSketch } from '../protocol/sketch/tensor-sketch.ts';
import { type TensorLayout, tensorGridOf, type WatchedTensor } from '../protocol/tensor-profile.ts';
import { seeded } from '../test/support/random-models.ts';
import { QUICK } from './support/bench.ts';
import { CONV_SHAPE, convModel } from './support/models.ts';
import { atMost, machineLine, median, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'What does watching an image or an embedding cost, beside the model that takes it?';

/** Two megabytes of images in turn: those of the last rounds are not in a core's own cache. */
const IMAGES = 32;
const IMAGE_ROUNDS = QUICK ? 60 : 400;
const EMBEDDING_WIDTHS = [128, 384, 768, 1536, 4096, 100_000];
const EMBEDDING_ROUNDS = QUICK ? 5 : 31;
/** Percent of a MobileNet run that counting may cost an image request. */
const IMAGE_SHARE = atMost(0.1);

interface Row {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
}

function rowsOf(count: number, shape: readonly number[], seed: number): Row[] {
  const random = seeded(seed);
  const width = shape.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, () => {
    const data = Float32Array.from({ length: width }, () => random());
    const x: Tensor = { datatype: 'FP32', shape: [1, ...shape], data };
    return { inputs: new Map([['x', x]]), outputs: new Map(), rows: 1 };
  });
}

function learned(rows: readonly Row[], layout: TensorLayout): WatchedTensor {
  const kind = layout.kind === 'image' ? 'image' : 'embedding';
  return learnTensor({ name: 'x', side: 'input', kind }, layout, rows).watched;
}

/** Each image goes through the model and is then counted, as on a host. */
async function images(): Promise<string> {
  const runtime = await createNodeRuntime();
  const session = await runtime.open(convModel(), { provider: 'cpu', intraOpThreads: 1 });
  const layout: TensorLayout = {
    ...{ kind: 'image', order: 'channels-first', side: 16 },
    ...{ low: [0, 0, 0], high: [1, 1, 1] },
  };
  const watched = learned(rowsOf(128, CONV_SHAPE, 1), layout);
  // As a host does that was told nothing else: one image in ten.
  const observer = new TensorObserver([watched]);
  const sketch = [emptyTensorSketch(tensorGridOf(watched))];
  const requests = rowsOf(IMAGES, CONV_SHAPE, 2);
  const runs: number[] = [];
  const counts: number[] = [];
  for (let round = 0; round < IMAGE_ROUNDS; round += 1) {
    const request = [requests[round % IMAGES]];
    const start = performance.now();
    await session.run(request[0].inputs);
    const ran = performance.now();
    observer.answered(request, sketch);
    const counted = performance.now();
    if (round < IMAGES) continue;
    runs.push((ran - start) * 1000);
    counts.push((counted - ran) * 1000);
  }
  await session.release();
  const run = median(runs);
  const looked = counts.filter((us) => us > median(counts) * 4);
  const each = (looked.length / counts.length) * median(looked);
  return [
    `MobileNetV2 run ${run.toFixed(0)} us; counting an image ${median(looked).toFixed(1)} us, ${looked.length} of ${counts.length} looked at`,
    verdict('% of a run', IMAGE_SHARE, (100 * each) / run),
  ].join('\n');
}

function embeddings(): string {
  const lines = [['width', 'looked at', 'us/row', 'q1', 'q3']];
  for (const width of EMBEDDING_WIDTHS) {
    const rows = rowsOf(200, [width], width);
    const watched = learned(rows, { kind: 'vector', elements: width });
    const observer = new TensorObserver([watched]);
    const sketch = [emptyTensorSketch(tensorGridOf(watched))];
    const times: number[] = [];
    for (let round = 0; round <= EMBEDDING_ROUNDS; round += 1) {
      const start = performance.now();
      observer.answered(rows, sketch);
      if (round > 0) times.push(((performance.now() - start) * 1000) / rows.length);
    }
    const { q1, median: middle, q3 } = quartiles(times);
    lines.push([width, watched.width, ...[middle, q1, q3].map((us) => us.toFixed(1))].map(String));
  }
  return table(lines);
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
process.stdout.write(`${await images()}\n\n${embeddings()}\n`);
