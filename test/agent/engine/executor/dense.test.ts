import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../agent/engine/model/executor/admit-executor.ts';
import { compile } from '../../../../agent/engine/model/executor/compile.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import {
  buildModel,
  type ConstantSpec,
  type ElementType,
  type NodeSpec,
} from '../../../support/onnx-graph-builder.ts';
import { floats, mlpModel, randomRows, seeded } from '../../../support/random-models.ts';

const runtime = await createNodeRuntime();
const SEED = 20261123;
const SPECIAL = [Infinity, -Infinity, -0, NaN];

async function expectAgreement(
  bytes: Uint8Array,
  samples: readonly ReadonlyMap<string, Tensor>[],
  title = '',
) {
  const compiled = compile(bytes);
  if (compiled.kind !== 'compiled') throw new Error(compiled.reason);
  const reference = await runtime.open(bytes);
  const agreement = await agrees(compiled.model, reference, samples);
  await reference.release();
  expect(agreement, title).toMatchObject({ kind: 'agrees' });
}

function rowsOf(
  features: number,
  seed: number,
  special: readonly number[] = [],
  counts = [1, 5, 1000],
) {
  const random = seeded(seed);
  return counts.map(
    (count) => new Map([['x', floats(count, randomRows(count, features, random, special))]]),
  );
}

describe('perceptrons against ONNX Runtime', () => {
  const forms = ['gemm', 'gemm-transposed', 'matmul'] as const;
  const cases = forms.flatMap((form) =>
    ['Relu', 'Sigmoid', 'Tanh', 'LeakyRelu', 'Softmax'].map((activation) => ({ form, activation })),
  );
  it.each(cases)('$form with $activation', async ({ form, activation }) => {
    for (const last of ['Identity', 'Softmax', 'Sigmoid']) {
      const bytes = mlpModel({ widths: [16, 63, 32, 3], activation, last, form }, 5);
      await expectAgreement(bytes, rowsOf(16, 6), last);
    }
  });

  it.each(cases)(
    '$form with $activation on NaN, infinities and -0',
    async ({ form, activation }) => {
      const bytes = mlpModel({ widths: [5, 9, 2], activation, form }, 7);
      await expectAgreement(bytes, rowsOf(5, 8, SPECIAL, [1, 1, 1, 200]));
    },
  );

  it('of any widths', async () => {
    const widths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 5 });
    const activation = fc.constantFrom('Relu', 'Sigmoid', 'Tanh', 'LeakyRelu');
    const property = fc.asyncProperty(
      fc.record({ widths, activation, form: fc.constantFrom(...forms) }),
      fc.nat(),
      (options, seed) =>
        expectAgreement(
          mlpModel(options, seed),
          rowsOf(options.widths[0], seed, [], [1, 30]),
          JSON.stringify(options),
        ),
    );
    await fc.assert(property, { seed: SEED, numRuns: 100 });
  });
});

/** One graph from x [N, ...dims] to y [N, 3], around a node or two. */
function graphModel(
  nodes: readonly NodeSpec[],
  constants: readonly ConstantSpec[],
  dims: readonly number[] = [3],
  type: ElementType = 'float',
  outputs = 3,
): Uint8Array {
  return buildModel({
    inputs: [{ name: 'x', type, shape: ['N', ...dims] }],
    outputs: [{ name: 'y', type: 'float', shape: ['N', outputs] }],
    nodes,
    constants,
  });
}

describe('operators around the layers', () => {
  const c = { name: 'c', dims: [3], values: [0.5, -2, 3] };
  it.each(['Add', 'Sub', 'Mul', 'Div'])('%s with a constant on either side', async (op) => {
    for (const inputs of [
      ['x', 'c'],
      ['c', 'x'],
    ]) {
      await expectAgreement(
        graphModel([{ op, inputs, outputs: ['y'] }], [c]),
        rowsOf(3, 1, SPECIAL),
      );
    }
  });

  it('Gemm with alpha, beta and one bias for all columns', async () => {
    const w = { name: 'w', dims: [3, 3], values: [1, 2, 3, 4, 5, 6, 7, 8, 9] };
    const b = { name: 'b', dims: [1], values: [0.7] };
    const attributes = { alpha: { f: 0.5 }, beta: { f: -2 } };
    const node = { op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes };
    await expectAgreement(graphModel([node], [w, b]), rowsOf(3, 2));
  });

  it('Scaler and Normalizer of ai.onnx.ml', async () => {
    const domain = 'ai.onnx.ml';
    const scaler = { offset: { floats: [1, 2, 3] }, scale: { floats: [0.5, 0.1, 7] } };
    const scale = { op: 'Scaler', domain, inputs: ['x'], outputs: ['y'], attributes: scaler };
    await expectAgreement(graphModel([scale], []), rowsOf(3, 3));
    for (const norm of ['MAX', 'L1', 'L2']) {
      const attributes = { norm: { s: norm } };
      const node = { op: 'Normalizer', domain, inputs: ['x'], outputs: ['y'], attributes };
      await expectAgreement(graphModel([node], []), rowsOf(3, 4), norm);
    }
  });

  it('Flatten, Reshape, Dropout, Concat and Identity', async () => {
    const flatten = { op: 'Flatten', inputs: ['x'], outputs: ['y'] };
    const nested = [1, 20].map((rows) => {
      const data = randomRows(rows, 6, seeded(rows));
      return new Map([['x', { datatype: 'FP32' as const, shape: [rows, 2, 3], data }]]);
    });
    await expectAgreement(graphModel([flatten], [], [2, 3], 'float', 6), nested);
    const shape = { name: 's', dims: [2], values: [-1, 6], type: 'int64' } as const;
    const reshape = { op: 'Reshape', inputs: ['x', 's'], outputs: ['y'] };
    await expectAgreement(graphModel([reshape], [shape], [2, 3], 'float', 6), nested);
    const nodes = [
      { op: 'Dropout', inputs: ['x'], outputs: ['d'] },
      { op: 'Relu', inputs: ['d'], outputs: ['r'] },
      { op: 'Identity', inputs: ['d'], outputs: ['i'] },
      { op: 'Concat', inputs: ['r', 'i'], outputs: ['y'], attributes: { axis: { i: 1 } } },
    ];
    await expectAgreement(graphModel(nodes, [], [3], 'float', 6), rowsOf(3, 5));
  });

  it('Cast of float64 and int64 inputs', async () => {
    const cast = { op: 'Cast', inputs: ['x'], outputs: ['y'], attributes: { to: { i: 1 } } };
    const doubles = Float64Array.of(0.1, 1 / 3, 1e300, NaN, -0, 16777217);
    const wide = { datatype: 'FP64' as const, shape: [2, 3], data: doubles };
    await expectAgreement(graphModel([cast], [], [3], 'double'), [new Map([['x', wide]])]);
    const integers = BigInt64Array.of(0n, -5n, 16777217n);
    const long = { datatype: 'INT64' as const, shape: [1, 3], data: integers };
    await expectAgreement(graphModel([cast], [], [3], 'int64'), [new Map([['x', long]])]);
  });
});
