import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelFiles } from '../../../agent/engine/messages.ts';
import { admit } from '../../../agent/engine/model/admission.ts';
import {
  EXECUTOR_VERSION,
  type ExecutorRecord,
} from '../../../agent/engine/model/executor/executor-record.ts';
import { type Golden, parseGolden } from '../../../agent/engine/model/golden.ts';
import type { Runtime } from '../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../agent/engine/model/runtime-node.ts';
import { describeMortgage, temporaryFolder } from '../../support/mortgage.ts';
import { buildModel } from '../../support/onnx-graph-builder.ts';
import { seeded } from '../../support/random-models.ts';

const run = promisify(execFile);
const MAIN = resolve(import.meta.dirname, '../../../dist/agent/main.js');
const ROWS = 1500;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let runtime: Runtime;
beforeAll(async () => {
  folder = await temporaryFolder();
  runtime = await createNodeRuntime();
});
afterAll(() => folder.remove());

/** y = a + b + c: in float32 what `a` and `c` swallow of `b` is lost, in the executor's float64 it is not. */
function sumModel(op: 'MatMul' | 'Erf'): Uint8Array {
  const matMul = { op: 'MatMul', inputs: ['x', 'w'], outputs: [op === 'Erf' ? 'sum' : 'y'] };
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape: ['N', 3] }],
    outputs: [{ name: 'y', type: 'float', shape: ['N', 1] }],
    nodes: op === 'Erf' ? [matMul, { op, inputs: ['sum'], outputs: ['y'] }] : [matMul],
    constants: [{ name: 'w', dims: [3, 1], values: [1, 1, 1] }],
  });
}

interface Described {
  readonly files: ModelFiles;
  readonly golden: Golden;
  readonly warnings: readonly string[];
}

/** The real `describe`, in a process of its own as at a push. */
async function describeSum(
  name: string,
  model: Uint8Array,
  rows: readonly number[][],
): Promise<Described> {
  const path = (file: string) => join(folder.path, `${name}-${file}`);
  const features = ['a', 'b', 'c'].map((feature, index) => {
    return { name: feature, tensor: 'x', index, kind: 'numeric' };
  });
  await writeFile(path('model.onnx'), model);
  await writeFile(path('draft.json'), JSON.stringify({ features }));
  await writeFile(path('rows.csv'), `a,b,c\n${rows.map((row) => row.join()).join('\n')}\n`);
  const flags = ['--model', path('model.onnx'), '--manifest', path('draft.json')];
  const out = path('out');
  const given = ['--baseline', path('rows.csv'), '--name', name, '--out', out];
  const { stdout } = await run(process.execPath, [MAIN, 'describe', ...flags, ...given]);
  const { manifest, warnings } = JSON.parse(stdout);
  const files = {
    ...{ manifest, modelPath: path('model.onnx'), manifestPath: join(out, 'manifest.json') },
    ...{ profilePath: join(out, 'profile.json'), goldenPath: join(out, 'golden.json') },
  };
  return { files, golden: parseGolden(await readFile(files.goldenPath)), warnings };
}

/** Small numbers first, as many as there are golden rows; far on in the file `odd` takes their place. */
function baseline(odd: (row: number, random: () => number) => number[] | null): number[][] {
  const random = seeded(5);
  return Array.from(
    { length: ROWS },
    (_, row) => odd(row, random) ?? [random(), random(), -random()],
  );
}

/** What a host runs the version on. */
async function executorOf(files: ModelFiles): Promise<string> {
  const slot = await admit(runtime, { files, execution: {} }, { engines: 1, cores: 2 });
  await slot.retire();
  return slot.placement.executor;
}

async function withRecord(
  { files, golden }: Described,
  record: ExecutorRecord | undefined,
): Promise<ModelFiles> {
  const goldenPath = join(folder.path, 'changed.json');
  await writeFile(goldenPath, JSON.stringify({ ...golden, executor: record }));
  return { ...files, goldenPath };
}

describe('the executor on the rows of a baseline', () => {
  it('agrees with ONNX Runtime on every one of the mortgage example, and is used', async () => {
    const { files } = await describeMortgage('v1', folder.path);
    const { executor } = parseGolden(await readFile(files.goldenPath ?? ''));
    expect(executor).toMatchObject({ version: EXECUTOR_VERSION, rows: 1500, agrees: true });
    expect(executor?.largestDifference).toBeLessThan(1e-6);
    expect(await executorOf(files)).toBe('typescript');
  });

  it('that cancel in float32 differs, and no host uses it, though each could not tell', async () => {
    const described = await describeSum(
      'cancels',
      sumModel('MatMul'),
      // One row of 1,500, past the first chunk.
      baseline((row) => (row === 1300 ? [100_000_001, 1, -100_000_001] : null)),
    );
    const { golden, files, warnings } = described;
    expect(golden.executor).toMatchObject({
      ...{ agrees: false, rows: ROWS, largestDifference: null },
      reason: expect.stringMatching(/^rows 1025 to 1500, output "y": value 276 is 1 here, 0 by/),
    });
    expect(warnings.join()).toMatch(/hosts will use ONNX Runtime alone/);
    expect(await executorOf(files)).toBe('onnxruntime');
    // What a host can check by itself, golden rows and rows drawn column by column, does not find it.
    expect(await executorOf(await withRecord(described, undefined))).toBe('typescript');
  });

  it('that can’t be compiled is no reason for a warning', async () => {
    const { golden, warnings } = await describeSum(
      'erf',
      sumModel('Erf'),
      baseline(() => null),
    );
    expect(golden.executor).toMatchObject({ agrees: false, rows: 0 });
    expect(golden.executor?.reason).toMatch(/Erf/);
    expect(warnings.join()).not.toMatch(/executor/);
  });

  it('is used only with a record of its own version that says yes, or none', async () => {
    const described = await describeSum(
      'sums',
      sumModel('MatMul'),
      baseline(() => null),
    );
    const yes = described.golden.executor;
    expect(yes).toMatchObject({ version: EXECUTOR_VERSION, rows: ROWS, agrees: true });
    if (yes === undefined) return;
    const used = async (record: ExecutorRecord | undefined) =>
      executorOf(await withRecord(described, record));
    expect(await used(yes)).toBe('typescript');
    expect(await used(undefined)).toBe('typescript');
    expect(await used({ ...yes, agrees: false })).toBe('onnxruntime');
    expect(await used({ ...yes, version: EXECUTOR_VERSION + 1 })).toBe('onnxruntime');
  });
});
