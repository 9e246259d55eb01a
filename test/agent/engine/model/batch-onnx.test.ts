import { expect, it } from 'vitest';
import { Batcher } from '../../../../agent/engine/model/batcher.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { NotedJob } from '../../../support/batch-jobs.ts';
import { floats, mlpModel, seeded } from '../../../support/random-models.ts';

const WIDTH = 16;

it('ONNX Runtime answers a batch as it answers its jobs alone, and a bad one fails alone', async () => {
  const runtime = await createNodeRuntime();
  const model = mlpModel({ widths: [WIDTH, 64, 32, 2], activation: 'Relu', form: 'gemm' }, 7);
  const session = await runtime.open(model);
  const random = seeded(11);
  const job = (id: number, rows: number, width = WIDTH) => {
    const data = Float32Array.from({ length: rows * width }, () => 2 * random() - 1);
    return new NotedJob(id, { rows, inputs: new Map([['x', floats(rows, data)]]) });
  };
  const jobs = Array.from({ length: 100 }, (_, id) => job(id, 1 + (id % 3), id === 50 ? 3 : WIDTH));
  const batcher = new Batcher(session, {
    maxBatchSize: 32,
    maxQueueDelayUs: 0,
    maxQueueRequests: 100,
  });
  let open = jobs.length;
  await new Promise<void>((resolve) => {
    for (const one of jobs) {
      one.onAnswer = () => {
        open -= 1;
        if (open === 0) resolve();
      };
      batcher.submit(one);
    }
  });
  expect(jobs.filter(({ state }) => state !== 'done').map(({ id }) => id)).toEqual([50]);
  expect(Math.max(...jobs.map(({ times }) => times?.batchRows ?? 0))).toBeGreaterThan(28);
  for (const { id, inputs, outputs } of jobs) {
    if (id === 50) continue;
    const alone = await session.run(inputs);
    expect(outputs?.size).toBe(alone.size);
    for (const [name, tensor] of alone) near(outputs?.get(name), tensor);
  }
  await session.release();
});

/** The kernels of ONNX Runtime may add up in another order for more rows: equal to the last bits of FP32. */
function near(one: Tensor | undefined, other: Tensor): void {
  expect(one?.shape).toEqual(other.shape);
  const [a, b] = [one?.data as Float32Array, other.data as Float32Array];
  for (let i = 0; i < b.length; i += 1) expect(Math.abs(a[i] - b[i])).toBeLessThan(1e-6);
}
