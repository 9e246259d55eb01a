import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Session, Tensor } from '../../../../../agent/engine/model/runtime.ts';
import {
  createNodeRuntime,
  type NodeRuntime,
} from '../../../../../agent/engine/model/runtime-node.ts';
import { MAX_REPLACEMENTS } from '../../../../../agent/engine/model/thread/worker-session.ts';
import { CONV_SHAPE, convModel } from '../../../../../bench/support/models.ts';
import { temporaryFolder } from '../../../../support/mortgage.ts';
import { buildModel, identityModel } from '../../../../support/onnx-builder.ts';
import { ROOT } from '../../../../support/source-files.ts';

const OPTIONS = { provider: 'cpu', intraOpThreads: 1, workers: 1 } as const;
const KINDS: readonly Tensor[] = [
  { datatype: 'FP32', shape: [2], data: Float32Array.of(1.5, Number.NaN) },
  { datatype: 'FP64', shape: [2], data: Float64Array.of(Math.PI, -0) },
  { datatype: 'INT64', shape: [1], data: BigInt64Array.of(-(2n ** 63n)) },
  { datatype: 'UINT64', shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  { datatype: 'INT32', shape: [1], data: Int32Array.of(-7) },
  { datatype: 'UINT8', shape: [3], data: Uint8Array.of(1, 2, 255) },
  { datatype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) },
  { datatype: 'FP16', shape: [1], data: Uint16Array.of(0x3c00) },
  { datatype: 'BYTES', shape: [2], data: ['', 'höher'] },
];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let runtime: NodeRuntime;
let identity: string;
let conv: string;
const image = new Map<string, Tensor>([
  ['x', { datatype: 'FP32', shape: [1, ...CONV_SHAPE], data: new Float32Array(150_528).fill(0.5) }],
]);

beforeAll(async () => {
  folder = await temporaryFolder();
  runtime = await createNodeRuntime();
  identity = join(folder.path, 'identity.onnx');
  conv = join(folder.path, 'conv.onnx');
  const ports = KINDS.map(({ datatype }) => ({ name: datatype, datatype, shape: [-1] }));
  await writeFile(identity, buildModel(identityModel(ports)));
  await writeFile(conv, convModel());
});
afterAll(() => folder.remove());

/** Opens, and says which threads were started for it. */
async function open(path: string, workers = 1): Promise<{ session: Session; threads: Worker[] }> {
  const threads: Worker[] = [];
  const note = (thread: Worker) => threads.push(thread);
  process.on('worker', note);
  try {
    return { session: await runtime.openOnWorkers(path, { ...OPTIONS, workers }), threads };
  } finally {
    process.off('worker', note);
  }
}

describe('a session on worker threads', () => {
  it('carries every datatype there and back', async () => {
    const { session } = await open(identity);
    const inputs = new Map(KINDS.map((tensor) => [tensor.datatype, tensor]));
    const outputs = await session.run(inputs);
    for (const tensor of KINDS) expect(outputs.get(`${tensor.datatype}_out`)).toEqual(tensor);
    await session.release();
  });

  it('answers exactly as the same model inline, small after large, and keeps what it answered', async () => {
    const inline = await runtime.open(conv);
    const { session } = await open(conv, 2);
    expect(session).toMatchObject({ provider: 'cpu', lanes: 2 });
    const want = await inline.run(image);
    const both = await Promise.all([session.run(image), session.run(image), session.run(image)]);
    for (const outputs of both) expect(outputs).toEqual(want);
    await Promise.all([inline.release(), session.release()]);
  });

  it('says in words what the runtime refused, and answers the next call', async () => {
    const { session } = await open(conv);
    const wrong = { datatype: 'FP32' as const, shape: [1, 2], data: new Float32Array(2) };
    await expect(session.run(new Map([['x', wrong]]))).rejects.toThrow(/Invalid rank for input: x/);
    await expect(session.run(new Map())).rejects.toThrow('the input "x" is missing');
    expect((await session.run(image)).get('y')?.shape).toEqual([1, 1000]);
    await session.release();
  });

  it('fails to open with the reason, and leaves no thread', async () => {
    await expect(open(join(folder.path, 'none.onnx'))).rejects.toThrow(/none\.onnx/);
  });

  it('leaves this thread free while the model computes', async () => {
    const { session } = await open(conv);
    let turns = 0;
    let computing = true;
    const count = () => {
      turns += 1;
      if (computing) setImmediate(count);
    };
    setImmediate(count);
    await session.run(image);
    computing = false;
    expect(turns).toBeGreaterThan(10);
    await session.release();
  });
});

describe('a thread that dies', () => {
  it('fails the call it had, is replaced, and the session fails plainly after too many', async () => {
    const { session, threads } = await open(conv);
    const replaced: Worker[] = [];
    const note = (thread: Worker) => replaced.push(thread);
    process.on('worker', note);
    let thread = threads[0];
    for (let death = 0; death < MAX_REPLACEMENTS; death += 1) {
      // Asleep, before it is asked: a thread that is ended inside native code takes its process along.
      void thread.terminate();
      const call = session.run(image);
      const next = session.run(image);
      await expect(call).rejects.toThrow('the worker thread of the model has ended');
      expect((await next).get('y')?.shape).toEqual([1, 1000]);
      thread = replaced[death];
    }
    await thread.terminate();
    await expect(session.run(image)).rejects.toThrow('the worker thread of the model has ended');
    process.off('worker', note);
    await session.release();
  });
});

describe('release', () => {
  it('resolves when the threads have ended, fails what waits, and refuses what comes', async () => {
    const { session, threads } = await open(identity, 2);
    await session.release();
    // A thread that has ended has no id.
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1, -1]);
    await expect(session.run(new Map())).rejects.toThrow('the session has been released');
  });
});

describe('the event loop', () => {
  it('lives while a call is pending and no longer, with nothing else to keep it', async () => {
    const entry = 'dist/agent/engine/model/runtime-node.js';
    const code = `
      const { createNodeRuntime } = await import(${JSON.stringify(pathToFileURL(join(ROOT, entry)).href)});
      const runtime = await createNodeRuntime();
      const session = await runtime.openOnWorkers(${JSON.stringify(conv)}, ${JSON.stringify(OPTIONS)});
      const data = new Float32Array(${150_528});
      for (let call = 0; call < 5; call += 1) {
        const x = { datatype: 'FP32', shape: [1, 3, 224, 224], data };
        const outputs = await session.run(new Map([['x', x]]));
        process.stdout.write(outputs.get('y').shape.join('x') + ' ');
      }`;
    const child = promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', code],
      // An idle session must not hold a process: without an end by itself this is the failure.
      { timeout: 15_000 },
    );
    expect((await child).stdout).toBe('1x1000 '.repeat(5));
  });
});
