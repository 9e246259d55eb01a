import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../agent/engine/model/executor/admit-executor.ts';
import { compileModel } from '../../../../agent/engine/model/executor/compile.ts';
import type { CompiledModel } from '../../../../agent/engine/model/executor/compiled-model.ts';
import {
  MAX_DENSE_ROWS,
  openCompiled,
  openFaster,
} from '../../../../agent/engine/model/executor/open-compiled.ts';
import type { Session } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { floats, mlpModel, type TreeOptions, treeModel } from '../../../support/random-models.ts';

const OPTIONS: TreeOptions = { kind: 'classifier', trees: 5, depth: 3, features: 4, targets: 2 };
const TREES = treeModel(OPTIONS, 1);
const DENSE = mlpModel({ widths: [4, 3], activation: 'Relu', form: 'gemm' }, 1);
const ROW = new Map([['x', floats(1, Float32Array.of(1, 2, 3, 4))]]);

function compiled(bytes: Uint8Array): CompiledModel {
  const model = compileModel(bytes);
  if (model === null) throw new Error('it should compile');
  return model;
}

/** Counts how often it is asked. */
function counting(session: Session): Session & { calls: number; released: boolean } {
  const counter = {
    provider: session.provider,
    lanes: session.lanes,
    calls: 0,
    released: false,
    run: (inputs: Parameters<Session['run']>[0]) => {
      counter.calls += 1;
      return session.run(inputs);
    },
    release: () => {
      counter.released = true;
      return session.release();
    },
  };
  return counter;
}

describe('a compiled session', () => {
  it('answers the same at once and by a promise, and keeps no state between rows', async () => {
    const session = openCompiled(compiled(TREES));
    const once = session.runSync(ROW);
    expect(await session.run(ROW)).toEqual(once);
    const data = Float32Array.of(-9, 9, NaN, 0, 1, 2, 3, 4);
    const twice = session.runSync(new Map([['x', floats(2, data)]]));
    expect([...(twice.get('scores')?.data ?? [])].slice(2)).toEqual([
      ...(once.get('scores')?.data ?? []),
    ]);
  });

  it('gives empty outputs for no rows', () => {
    const none = { datatype: 'FP32' as const, shape: [0, 4], data: new Float32Array() };
    const outputs = openCompiled(compiled(TREES)).runSync(new Map([['x', none]]));
    expect(outputs.get('scores')).toMatchObject({ shape: [0, 2] });
  });

  it.each([
    ['a missing input', new Map(), /"x" is missing/],
    ['an input too many', new Map([...ROW, ['z', floats(1, Float32Array.of(1))]]), /2 inputs/],
    ['too few columns', new Map([['x', floats(1, Float32Array.of(1, 2, 3))]]), /FP32 \[1,3\]/],
    [
      'another datatype',
      new Map([['x', { datatype: 'FP64' as const, shape: [1, 4], data: new Float64Array(4) }]]),
      /FP64/,
    ],
    [
      'fewer values than its shape says',
      new Map([['x', { datatype: 'FP32' as const, shape: [9, 4], data: new Float32Array(4) }]]),
      /4 values/,
    ],
  ])('refuses %s', async (_, inputs, reason) => {
    await expect(openCompiled(compiled(TREES)).run(inputs)).rejects.toThrow(reason);
  });
});

describe('openFaster', () => {
  it('gives wide calls of dense layers to ONNX Runtime, trees never, and closes it', async () => {
    const runtime = await createNodeRuntime();
    const wide = (rows: number) => new Map([['x', floats(rows, new Float32Array(4 * rows))]]);
    const reference = counting(await runtime.open(DENSE));
    const session = openFaster(compiled(DENSE), reference);
    await session.run(wide(MAX_DENSE_ROWS));
    expect(reference.calls).toBe(0);
    await session.run(wide(MAX_DENSE_ROWS + 1));
    expect(reference.calls).toBe(1);
    await session.release();
    expect(reference.released).toBe(true);
    const trees = counting(await runtime.open(TREES));
    await openFaster(compiled(TREES), trees).run(wide(1000));
    expect(trees.calls).toBe(0);
    await trees.release();
  });
});

describe('agreement', () => {
  it('is denied to another model, with the place, and without samples', async () => {
    const runtime = await createNodeRuntime();
    const other = await runtime.open(treeModel(OPTIONS, 2));
    expect(await agrees(compiled(TREES), other, [ROW])).toMatchObject({
      kind: 'differs',
      sample: 0,
      reason: expect.stringMatching(/^output "(label|scores)": value \d is /),
    });
    expect(await agrees(compiled(TREES), other, [])).toMatchObject({ kind: 'differs' });
    const dense = await runtime.open(DENSE);
    expect(await agrees(compiled(TREES), dense, [ROW])).toMatchObject({
      sample: 0,
      reason: 'output "y": not made by the executor',
    });
    await Promise.all([other.release(), dense.release()]);
  });

  it('holds at the tolerance and not past it', async () => {
    const model = compiled(DENSE);
    const shifted = (by: number): Session => ({
      provider: 'cpu',
      lanes: 0,
      run: async () => {
        const [y] = model.runSync(ROW).values();
        const data = Float64Array.from(y.data as Float32Array, (value) => value + by);
        return new Map([['y', { ...y, data }]]);
      },
      release: async () => undefined,
    });
    expect(await agrees(model, shifted(0.9e-6), [ROW])).toMatchObject({ kind: 'agrees' });
    expect(await agrees(model, shifted(1e-5), [ROW])).toMatchObject({ kind: 'differs' });
  });
});
