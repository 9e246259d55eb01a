import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { loadNative } from '../../../../agent/engine/model/native-run.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { tinyModel } from '../../../../bench/support/models.ts';

const x = new Map([
  ['x', { datatype: 'FP32' as const, shape: [2, 16], data: new Float32Array(32).fill(0.3) }],
]);

describe('the native session of this release of onnxruntime-node', () => {
  it('is as expected: its release is pinned, so a newer one that is not has to be looked at', async () => {
    expect(await loadNative(ort)).not.toBeNull();
  });

  it.each([
    ['is gone', () => ({})],
    ['takes other arguments', () => ({ InferenceSession: class {} })],
    ['cannot be loaded', () => JSON.parse('no module')],
    [
      'answers something else',
      () => ({
        InferenceSession: class {
          readonly inputMetadata = [{ name: 'x' }];
          readonly outputMetadata = [{ name: 'y' }];
          loadModel(): void {}
          run = () => ({ y: new ort.Tensor('float32', new Float32Array(6), [3, 2]) });
          endProfiling(): void {}
          dispose(): void {}
        },
      }),
    ],
  ])('is not used where it %s', async (_, load) => {
    expect(await loadNative(ort, load as Parameters<typeof loadNative>[1])).toBeNull();
  });
});

describe('a session of the runtime', () => {
  it('answers at once exactly what session.run answers', async () => {
    const session = await (await createNodeRuntime()).open(tinyModel());
    const reference = await ort.InferenceSession.create(tinyModel(), { intraOpNumThreads: 1 });
    const feed = new ort.Tensor('float32', new Float32Array(32).fill(0.3), [2, 16]);
    const want = await reference.run({ x: feed });
    expect(session).toMatchObject({ provider: 'cpu', lanes: 0 });
    expect(session.runSync?.(x).get('y')?.data).toEqual(want.y.data);
    expect(await session.run(x)).toEqual(session.runSync?.(x));
    await Promise.all([session.release(), reference.release()]);
  });

  it('names a missing input, and refuses calls once released', async () => {
    const session = await (await createNodeRuntime()).open(tinyModel());
    expect(() => session.runSync?.(new Map())).toThrow('the input "x" is missing');
    await session.release();
    await session.release();
    await expect(session.run(x)).rejects.toThrow('the session has been released');
  });

  it('is released once, on the public way too', async () => {
    const session = await (await createNodeRuntime(async () => null)).open(tinyModel());
    expect(session.runSync).toBeUndefined();
    expect((await session.run(x)).get('y')?.shape).toEqual([2, 2]);
    await session.release();
    await session.release();
    await expect(session.run(x)).rejects.toThrow('the session has been released');
  });

  it('counts the nodes that ran, by what ran them, and leaves no profile behind', async () => {
    const options = { provider: 'cpu', intraOpThreads: 1, countNodes: true } as const;
    const session = await (await createNodeRuntime()).open(tinyModel(), options);
    session.runSync?.(x);
    expect(await session.nodes?.()).toEqual({ CPUExecutionProvider: 3 });
    expect(await session.nodes?.()).toEqual({ CPUExecutionProvider: 3 });
    expect(session.runSync?.(x).get('y')?.shape).toEqual([2, 2]);
    await session.release();
  });
});
