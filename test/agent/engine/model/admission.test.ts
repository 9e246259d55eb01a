import { rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admit } from '../../../../agent/engine/model/admission.ts';
import type { Golden } from '../../../../agent/engine/model/golden.ts';
import type { Runtime, Tensor } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import type { Slot } from '../../../../agent/engine/model/slot.ts';
import { Refusal } from '../../../../agent/error.ts';
import {
  CONV_SHAPE,
  convModel,
  GBDT_FEATURES,
  gbdtModel,
  tinyModel,
} from '../../../../bench/support/models.ts';
import type { Execution } from '../../../../protocol/serving.ts';
import { temporaryFolder } from '../../../support/mortgage.ts';
import { buildModel } from '../../../support/onnx-graph-builder.ts';
import { randomRows, seeded } from '../../../support/random-models.ts';
import { describeModel } from './admitted.ts';

const SHARE = { cores: 2, engines: 1 };

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let runtime: Runtime;
const open: Slot[] = [];
beforeAll(async () => {
  folder = await temporaryFolder();
  runtime = await createNodeRuntime();
});
afterAll(async () => {
  await Promise.all(open.map((slot) => slot.retire()));
  await folder.remove();
});

function rows(count: number, shape: readonly number[]): Map<string, Tensor> {
  const width = shape.reduce((product, size) => product * size, 1);
  const data = randomRows(count, width, seeded(7));
  return new Map([['x', { datatype: 'FP32', shape: [count, ...shape], data }]]);
}

let made = 0;
async function admitted(
  model: Uint8Array,
  golden: ReadonlyMap<string, Tensor> | null,
  execution: Execution = {},
  change?: (golden: Golden) => void,
): Promise<Slot> {
  made += 1;
  const files = await describeModel(folder.path, `m${made}`, model, golden, change);
  const slot = await admit(runtime, { files, execution }, SHARE);
  open.push(slot);
  return slot;
}

/** A Relu, so not of the executor's kind alone; with `ReduceMean` over the rows they are not independent. */
function meanModel(axis: 0 | 1): Uint8Array {
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape: ['N', 4] }],
    outputs: [{ name: 'y', type: 'float', shape: ['N', 4] }],
    nodes: [
      {
        op: 'ReduceMean',
        inputs: ['x'],
        outputs: ['mean'],
        attributes: { axes: { ints: [axis] }, keepdims: { i: 1 } },
      },
      { op: 'Sub', inputs: ['x', 'mean'], outputs: ['y'] },
    ],
  });
}

describe('where a version is placed', () => {
  it('a small quick model: inline, in TypeScript, callable at once', async () => {
    const { placement, session } = await admitted(tinyModel(), rows(3, [16]));
    expect(placement).toMatchObject({ kind: 'inline', workers: 0, refused: [], nodes: null });
    expect(placement.runUs).toBeGreaterThan(0);
    expect(session.lanes).toBe(0);
    const one = session.runSync?.(rows(1, [16])).get('y');
    expect(one?.shape).toEqual([1, 2]);
    const many = session.runSync?.(rows(100, [16])).get('y');
    expect(many?.shape).toEqual([100, 2]);
  });

  it('trees: inline, in TypeScript alone', async () => {
    const { placement, session } = await admitted(gbdtModel(), rows(3, [GBDT_FEATURES]));
    expect(placement).toMatchObject({ kind: 'inline', executor: 'typescript' });
    expect(session.runSync?.(rows(1000, [GBDT_FEATURES])).get('scores')?.shape).toEqual([1000, 2]);
  });

  it('a slow one: a thread for each core', async () => {
    const { placement, session, rowsIndependent } = await admitted(
      convModel(),
      rows(2, CONV_SHAPE),
    );
    expect(placement).toMatchObject({ kind: 'worker', workers: 2, executor: 'onnxruntime' });
    expect(session).toMatchObject({ lanes: 2, provider: 'cpu' });
    expect(session.runSync).toBeUndefined();
    expect(rowsIndependent).toBe(true);
  });

  it('as it was asked', async () => {
    const worker = await admitted(tinyModel(), rows(3, [16]), { placement: 'worker', workers: 1 });
    expect(worker.placement).toMatchObject({ kind: 'worker', workers: 1 });
    expect((await worker.session.run(rows(1, [16]))).get('y')?.shape).toEqual([1, 2]);
    const inline = await admitted(convModel(), null, { placement: 'inline', intraOpThreads: 2 });
    expect(inline.placement).toMatchObject({ kind: 'inline', workers: 0, intraOpThreads: 2 });
    expect(inline.session.runSync).toBeDefined();
  });

  it('without golden vectors: measured on a row of zeros, never in TypeScript', async () => {
    const { placement, rowsIndependent } = await admitted(tinyModel(), null);
    expect(placement).toMatchObject({ kind: 'inline', executor: 'onnxruntime' });
    expect(placement.runUs).toBeGreaterThan(0);
    expect(rowsIndependent).toBe(false);
  });
});

describe('rows of one call', () => {
  it('may be shared where they were shown not to influence each other', async () => {
    expect((await admitted(meanModel(1), rows(3, [4]))).rowsIndependent).toBe(true);
    expect((await admitted(meanModel(0), rows(3, [4]))).rowsIndependent).toBe(false);
    expect((await admitted(meanModel(1), rows(1, [4]))).rowsIndependent).toBe(false);
  });
});

async function refusal(opening: Promise<Slot>): Promise<string> {
  try {
    await opening;
    return 'admitted';
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.message}`;
    throw error;
  }
}

const shift = (golden: Golden) => {
  golden.outputs[0].data[0] = 1e6;
};

describe('providers', () => {
  it('are tried in order, and why one is not used is kept', async () => {
    const execution: Execution = { providers: ['cuda', 'tensorrt', 'cpu'] };
    const { placement, session } = await admitted(tinyModel(), rows(3, [16]), execution);
    expect(placement.provider).toBe('cpu');
    expect(session.provider).toBe('cpu');
    expect(placement.refused).toEqual([
      { provider: 'cuda', reason: expect.stringMatching(/^ONNX Runtime refused the model: .+/) },
      { provider: 'tensorrt', reason: expect.stringMatching(/^ONNX Runtime refused the model/) },
    ]);
  });

  it('that all refuse make a refusal with each reason', async () => {
    const execution: Execution = { providers: ['cuda', 'cpu'] };
    expect(await refusal(admitted(tinyModel(), rows(2, [16]), execution, shift))).toMatch(
      /^session-failed: every provider refused: cuda: ONNX Runtime .*; cpu: golden output "y"\[0\]/,
    );
  });
});

describe('golden vectors', () => {
  it.each(['inline', 'worker'] as const)(
    'GOLDEN-1: are checked where it serves: %s',
    async (at) => {
      const opening = admitted(tinyModel(), rows(2, [16]), { placement: at }, shift);
      expect(await refusal(opening)).toMatch(/^golden-mismatch: golden output "y"\[0\]/);
    },
  );

  it('that the model cannot run refuse it', async () => {
    const narrow = (golden: Golden) => {
      golden.inputs[0].shape[1] = 15;
      golden.inputs[0].data.length = 30;
    };
    const opening = admitted(tinyModel(), rows(2, [16]), {}, narrow);
    expect(await refusal(opening)).toMatch(/^warmup-failed: the model failed its first run/);
  });
});

describe('a file that is no model', () => {
  it('is refused, however large', async () => {
    const files = await describeModel(folder.path, 'broken', tinyModel(), null);
    for (const bytes of [Buffer.from('no model'), Buffer.alloc(17 * 2 ** 20, 0xff)]) {
      await writeFile(files.modelPath, bytes);
      expect(await refusal(admit(runtime, { files, execution: {} }, SHARE))).toMatch(/^not-onnx/);
    }
    await rm(files.modelPath);
  });
});
