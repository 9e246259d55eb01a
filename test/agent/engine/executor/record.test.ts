import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../agent/engine/model/executor/admit-executor.ts';
import { compileModel } from '../../../../agent/engine/model/executor/compile.ts';
import type { CompiledModel } from '../../../../agent/engine/model/executor/compiled-model.ts';
import {
  disagreement,
  EXECUTOR_VERSION,
  executorRecordSchema,
  mayExecute,
} from '../../../../agent/engine/model/executor/executor-record.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { buildModel } from '../../../support/onnx-graph-builder.ts';
import {
  floats,
  mlpModel,
  randomRows,
  seeded,
  type TreeOptions,
  treeModel,
} from '../../../support/random-models.ts';

const FEATURES = 5;
const ROWS = 200;
const TREES = { trees: 20, depth: 5, features: FEATURES, targets: 3, missing: true } as const;
const KINDS: readonly TreeOptions[] = [
  { ...TREES, kind: 'classifier', postTransform: 'SOFTMAX' },
  { ...TREES, kind: 'classifier', targets: 2, postTransform: 'LOGISTIC', votes: 'first' },
  { ...TREES, kind: 'regressor', aggregate: 'AVERAGE' },
];
const WIDTHS = [FEATURES, 17, 9, 2];

function compiled(bytes: Uint8Array): CompiledModel {
  const model = compileModel(bytes);
  if (model === null) throw new Error('it should compile');
  return model;
}

/** Digest of all that the executor answers to the same rows on some models of every kind. */
function answers(): string {
  const models = [
    ...KINDS.map((options, seed) => treeModel(options, seed)),
    ...(['Relu', 'Tanh', 'Sigmoid'] as const).map((activation, seed) =>
      mlpModel({ widths: WIDTHS, activation, form: 'gemm', last: 'Softmax' }, seed),
    ),
  ];
  const rows = floats(ROWS, randomRows(ROWS, FEATURES, seeded(3)));
  const hash = createHash('sha256');
  for (const bytes of models) {
    for (const { data } of compiled(bytes)
      .runSync(new Map([['x', rows]]))
      .values()) {
      hash.update(data.join()); // as text: a NaN has many bit patterns
    }
  }
  return `${EXECUTOR_VERSION} ${hash.digest('hex').slice(0, 16)}`;
}

describe('the version of the executor', () => {
  it('is another where its answers are: if this fails, raise EXECUTOR_VERSION', () => {
    expect(answers()).toBe('1 55815fe7e695fbaa');
  });
});

describe('a record', () => {
  it('keeps a reason of any length within its bound', () => {
    const record = disagreement(7, 'x'.repeat(10_000));
    expect(executorRecordSchema.parse(record)).toEqual(record);
    expect(mayExecute(record)).toBe(false);
  });
});

describe('agreement', () => {
  it('is not had on an infinite value by a finite one', async () => {
    const bytes = buildModel({
      inputs: [{ name: 'x', type: 'float', shape: ['N', 3] }],
      outputs: [{ name: 'y', type: 'float', shape: ['N', 1] }],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      constants: [{ name: 'w', dims: [3, 1], values: [1, 1, 1] }],
    });
    const reference = await (await createNodeRuntime()).open(bytes);
    const sample = (...row: number[]) => [new Map([['x', floats(1, Float32Array.from(row))]])];
    // Past float32 half way, and back: only ONNX Runtime stays at infinity.
    const back = sample(3e38, 3e38, -3e38);
    expect((await reference.run(back[0])).get('y')?.data[0]).toBe(Number.POSITIVE_INFINITY);
    expect(await agrees(compiled(bytes), reference, back)).toMatchObject({ kind: 'differs' });
    const past = sample(3e38, 3e38, 3e38);
    expect(await agrees(compiled(bytes), reference, past)).toMatchObject({ kind: 'agrees' });
    await reference.release();
  });
});
