import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../../agent/engine/model/runtime.ts';
import {
  FrameBudget,
  LEAST_BYTES,
  SHRINK_AFTER_CALLS,
} from '../../../../../agent/engine/model/thread/frame-budget.ts';
import {
  frameBytes,
  frameMemory,
  readFrame,
  textFrame,
  textOf,
  writeFrame,
  writtenBytes,
} from '../../../../../agent/engine/model/thread/tensor-frame.ts';

function tensor(datatype: Tensor['datatype'], data: Tensor['data']): Tensor {
  return { datatype, shape: [data.length], data };
}

const arbitraryTensor: fc.Arbitrary<Tensor> = fc.oneof(
  fc.float32Array().map((data) => tensor('FP32', data)),
  fc.float64Array().map((data) => tensor('FP64', data)),
  fc.uint8Array().map((data) => tensor('BOOL', data)),
  fc.uint8Array().map((data) => tensor('UINT8', data)),
  fc.uint16Array().map((data) => tensor('UINT16', data)),
  fc.uint16Array().map((data) => tensor('FP16', data)),
  fc.uint16Array().map((data) => tensor('BF16', data)),
  fc.uint32Array().map((data) => tensor('UINT32', data)),
  fc.int8Array().map((data) => tensor('INT8', data)),
  fc.int16Array().map((data) => tensor('INT16', data)),
  fc.int32Array().map((data) => tensor('INT32', data)),
  fc.bigInt64Array().map((data) => tensor('INT64', data)),
  fc.bigUint64Array().map((data) => tensor('UINT64', data)),
  fc.array(fc.string({ unit: 'grapheme' })).map((data) => tensor('BYTES', data)),
);
const arbitraryTensors = fc
  .array(fc.tuple(fc.string({ unit: 'grapheme' }), arbitraryTensor), { maxLength: 6 })
  .map((entries) => new Map(entries));

describe('a frame of tensors', () => {
  it('says what was written, every datatype, in exactly the bytes it asked for', () => {
    fc.assert(
      fc.property(arbitraryTensors, (tensors) => {
        const bytes = frameBytes(tensors);
        const memory = frameMemory(new SharedArrayBuffer(bytes));
        writeFrame(tensors, memory);
        expect(writtenBytes(memory)).toBe(bytes);
        expect(readFrame(memory)).toEqual(tensors);
      }),
    );
  });

  it('takes views that begin anywhere, and keeps shapes that do not fit their data for the runtime to refuse', () => {
    const data = new Float32Array(9).map((_, at) => at).subarray(3, 8);
    const tensors = new Map([['x', { datatype: 'FP32' as const, shape: [2, 0, 7], data }]]);
    const memory = frameMemory(new SharedArrayBuffer(4096));
    writeFrame(tensors, memory);
    expect(readFrame(memory)).toEqual(tensors);
  });

  it('carries a text', () => {
    const memory = frameMemory(new SharedArrayBuffer(4096));
    writeFrame(textFrame('no such node: é'), memory);
    expect(textOf(readFrame(memory))).toBe('no such node: é');
  });
});

describe('the size of a frame memory', () => {
  it('grows at once to what is needed, in whole pages', () => {
    const budget = new FrameBudget(0);
    expect(budget.next(16)).toBe(LEAST_BYTES);
    expect([budget.capacity, budget.next(16)]).toEqual([0, LEAST_BYTES]);
    budget.resized(LEAST_BYTES);
    expect(budget.next(LEAST_BYTES)).toBeNull();
    expect(budget.next(LEAST_BYTES + 1)).toBe(LEAST_BYTES + 4096);
    budget.resized(LEAST_BYTES + 4096);
    expect(budget.capacity).toBe(LEAST_BYTES + 4096);
  });

  it('shrinks to the largest of many small calls, and not while large ones come', () => {
    const budget = new FrameBudget(0);
    expect(budget.next(4_000_000)).toBe(4_001_792);
    budget.resized(4_001_792);
    for (let call = 1; call < SHRINK_AFTER_CALLS; call += 1) expect(budget.next(100)).toBeNull();
    expect(budget.next(3_000_000)).toBeNull();
    for (let call = 1; call < SHRINK_AFTER_CALLS; call += 1) {
      expect(budget.next(call === 7 ? 200_000 : 100)).toBeNull();
    }
    expect(budget.next(100)).toBe(200_704);
  });
});
