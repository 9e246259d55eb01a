import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  batchable,
  concatInputs,
  fitsWith,
  isRowWise,
  RowSplitter,
} from '../../../../agent/engine/model/batch-concat.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';
import { NotedJob } from '../../../support/batch-jobs.ts';

const ARRAYS: readonly [Datatype, (bytes: Uint8Array<ArrayBuffer>) => Tensor['data']][] = [
  ['FP32', (b) => new Float32Array(b.buffer)],
  ['FP64', (b) => new Float64Array(b.buffer)],
  ['INT64', (b) => new BigInt64Array(b.buffer)],
  ['UINT64', (b) => new BigUint64Array(b.buffer)],
  ['FP16', (b) => new Uint16Array(b.buffer)],
  ['BOOL', (b) => b],
  ['INT8', (b) => new Int8Array(b.buffer)],
  ['BYTES', (b) => Array.from(b, String)],
];

/** `cells` times 8 bytes a row, so that every datatype has whole elements. */
function tensor(at: number, rows: number, cells: number, seed: number): Tensor {
  const [datatype, view] = ARRAYS[at];
  const data = view(Uint8Array.from({ length: rows * cells * 8 }, (_, i) => (i * 31 + seed) & 255));
  return { datatype, shape: [rows, data.length / rows], data };
}

describe('inputs put together and taken apart', () => {
  it('are bit for bit what they were, in any datatype', () => {
    const batch = fc.record({
      kinds: fc.array(fc.nat(ARRAYS.length - 1), { minLength: 1, maxLength: 3 }),
      rows: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 }),
      cells: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(batch, ({ kinds, rows, cells }) => {
        const jobs = rows.map((count, id) => {
          const inputs = kinds.map(
            (kind, at) => [`x${at}`, tensor(kind, count, cells, id)] as const,
          );
          // Another order of the same names is still the same inputs.
          return new NotedJob(id, {
            rows: count,
            inputs: new Map(id % 2 === 0 ? inputs : [...inputs].reverse()),
          });
        });
        expect(jobs.every((job) => batchable(job) && fitsWith(jobs[0], job))).toBe(true);
        const total = rows.reduce((sum, count) => sum + count, 0);
        const whole = concatInputs(jobs, total);
        expect(isRowWise(whole, total)).toBe(true);
        const parts = new RowSplitter(whole, total);
        for (const job of jobs) {
          const part = parts.take(job.rows);
          expect(part.size).toBe(job.inputs.size);
          for (const [name, { datatype, shape, data }] of job.inputs) {
            expect(part.get(name)).toMatchObject({ datatype, shape });
            expect(bits(part.get(name)?.data)).toEqual(bits(data));
          }
        }
      }),
    );
  });

  const floats = (shape: number[], length: number): Tensor => ({
    datatype: 'FP32',
    shape,
    data: new Float32Array(length),
  });
  const job = (rows: number, ...tensors: [string, Tensor][]) =>
    new NotedJob(1, { rows, inputs: new Map(tensors) });

  it.each([
    ['no rows', job(0, ['x', floats([0, 2], 0)])],
    ['a scalar', job(1, ['x', floats([], 1)])],
    ['rows that the job does not claim', job(2, ['x', floats([1, 4], 4)])],
    ['inputs of different rows', job(1, ['x', floats([1, 2], 2)], ['z', floats([2, 2], 4)])],
    ['fewer values than its shape', job(1, ['x', floats([1, 2], 1)])],
    ['no inputs', job(1)],
  ])('are not put together: %s', (_, one) => {
    expect(batchable(one)).toBe(false);
  });

  it.each([
    ['another name', job(1, ['z', floats([1, 2], 2)])],
    ['another width', job(1, ['x', floats([1, 3], 3)])],
    ['another rank', job(1, ['x', floats([1, 2, 1], 2)])],
    [
      'another datatype',
      job(1, ['x', { datatype: 'FP64', shape: [1, 2], data: new Float64Array(2) }]),
    ],
    ['an input more', job(1, ['x', floats([1, 2], 2)], ['z', floats([1], 1)])],
    ['no rows', job(0, ['x', floats([0, 2], 0)])],
    ['other rows than it claims', job(1, ['x', floats([2, 2], 4)])],
    ['fewer values than its shape', job(2, ['x', floats([2, 2], 3)])],
  ])('do not follow a plain row: %s', (_, one) => {
    expect(fitsWith(job(1, ['x', floats([1, 2], 2)]), one)).toBe(false);
  });

  it.each([
    ['a scalar', floats([], 1)],
    ['another first dimension', floats([1, 3], 3)],
    ['values that are not whole rows', floats([3, 1], 4)],
  ])('are not taken apart: %s', (_, output) => {
    expect(isRowWise(new Map([['y', output]]), 3)).toBe(false);
  });
});

function bits(data: Tensor['data'] | undefined): unknown {
  if (data === undefined || Array.isArray(data)) return data;
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
}
