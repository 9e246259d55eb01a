import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelFiles } from '../../../agent/engine/messages.ts';
import type { Runtime } from '../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../agent/engine/model/runtime-node.ts';
import { repeatedRows, rowsInCall } from '../../../agent/tune/inputs.ts';
import { tuneVersion } from '../../../agent/tune/tune-version.ts';
import { tuningSchema } from '../../../protocol/tuning.ts';
import { manifestOf } from '../../protocol/documents.ts';
import { describeMortgage, temporaryFolder } from '../../support/mortgage.ts';

const GIB = 2 ** 30;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let files: ModelFiles;
let runtime: Runtime;

beforeAll(async () => {
  folder = await temporaryFolder();
  ({ files } = await describeMortgage('v1', folder.path));
  runtime = await createNodeRuntime();
}, 60_000);
afterAll(() => folder.remove());

const tune = (change: object) =>
  tuneVersion(runtime, {
    version: 7,
    files,
    budgetMs: 300,
    memoryBytes: 64 * GIB,
    cores: 1,
    ...change,
  });

describe('a tuning', () => {
  it('is a table of what was asked, and fits the wire', async () => {
    const tuning = tuningSchema.parse(await tune({ budgetMs: 5000 }));
    expect(tuning).toMatchObject({ version: 7, manifest: files.manifest, cores: 1 });
    const places = new Set(tuning.rows.map(({ placement }) => placement));
    expect(places).toContain('inline');
    const inline = tuning.rows.filter(({ placement }) => placement === 'inline');
    expect(inline.map(({ batchSize }) => batchSize)).toEqual([1, 2, 4, 8, 16, 32, 64]);
    expect(tuning.recommended.batching?.maxBatchSize).toBeGreaterThanOrEqual(1);
  });

  it('measures single requests of a version without golden rows: nothing shows that they may share', async () => {
    const tuning = await tune({ files: { ...files, goldenPath: null } });
    expect(tuning.rowsIndependent).toBe(false);
    expect(new Set(tuning.rows.map(({ batchSize }) => batchSize))).toEqual(new Set([1]));
    expect(tuning.recommended.batching).toEqual({ maxBatchSize: 1 });
  });

  it('without time measures the first way alone, and names what it left out', async () => {
    const tuning = await tune({ budgetMs: 0, cores: 2 });
    expect(new Set(tuning.rows.map(({ placement }) => placement))).toEqual(new Set(['inline']));
    expect(tuning.leftOut).toContain('1 x 1 thread on workers: no time left');
  });

  it('without memory, or with a file that is no model, fails with the reason', async () => {
    await expect(tune({ memoryBytes: 1 })).rejects.toThrow(/inline, 1 thread: would take more/);
    const wrong = { ...files, modelPath: files.manifestPath };
    await expect(tune({ files: wrong })).rejects.toThrow();
  });
});

describe('rows to measure with', () => {
  const manifest = manifestOf({
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [-1, 2] },
      { name: 'word', datatype: 'BYTES', shape: [-1, -1] },
      { name: 'id', datatype: 'INT64', shape: [-1] },
    ],
  });

  it('are the golden ones again and again', () => {
    const golden = new Map([
      ['x', { datatype: 'FP32' as const, shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
      ['word', { datatype: 'BYTES' as const, shape: [2, 1], data: ['a', 'b'] }],
      ['id', { datatype: 'INT64' as const, shape: [2], data: BigInt64Array.of(7n, 8n) }],
    ]);
    const three = repeatedRows(manifest, golden, 3);
    expect(three.get('x')).toEqual({
      datatype: 'FP32',
      shape: [3, 2],
      data: Float32Array.of(1, 2, 3, 4, 1, 2),
    });
    expect(three.get('word')).toMatchObject({ shape: [3, 1], data: ['a', 'b', 'a'] });
    expect(three.get('id')?.data).toEqual(BigInt64Array.of(7n, 8n, 7n));
    expect(rowsInCall(three)).toBe(3);
  });

  it('are zeros and empty texts where there are none', () => {
    const two = repeatedRows(manifest, null, 2);
    expect(two.get('word')).toEqual({ datatype: 'BYTES', shape: [2, 1], data: ['', ''] });
    expect(two.get('id')?.data).toEqual(BigInt64Array.of(0n, 0n));
  });
});
