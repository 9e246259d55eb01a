import { MessageChannel } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import type { Tensor } from '../../../../../agent/engine/model/runtime.ts';
import { MAX_TENSORS_BYTES } from '../../../../../agent/engine/model/thread/frame-budget.ts';
import { FrameReader, FrameWriter } from '../../../../../agent/engine/model/thread/mailbox.ts';

const { port1, port2 } = new MessageChannel();
afterEach(() => {
  vi.unstubAllGlobals();
  port1.close();
});

function tensors(elements: number): Map<string, Tensor> {
  return new Map([
    ['x', { datatype: 'UINT8', shape: [elements], data: new Uint8Array(elements).fill(7) }],
  ]);
}

it('a frame that has no memory, or is over the bound, costs the next ones nothing', () => {
  const writer = new FrameWriter(port1, 'outputs');
  const reader = new FrameReader(port2);
  const goesThrough = (frame: Map<string, Tensor>) => {
    writer.write(frame);
    expect(reader.readScratch()).toEqual(frame);
    expect(reader.readOwn()).toEqual(frame);
  };
  goesThrough(tensors(10));

  class NoMemory {
    constructor() {
      throw new RangeError('Array buffer allocation failed');
    }
  }
  vi.stubGlobal('SharedArrayBuffer', NoMemory);
  expect(() => writer.write(tensors(200_000))).toThrow('allocation failed');
  expect(() => writer.write(tensors(150_000))).toThrow('allocation failed');
  goesThrough(tensors(20));
  vi.unstubAllGlobals();
  goesThrough(tensors(150_000));

  // Never touched, so never really there.
  const large = { datatype: 'UINT8' as const, shape: [1], data: new Uint8Array(MAX_TENSORS_BYTES) };
  expect(() => writer.write(new Map([['x', large]]))).toThrow(
    /the outputs take 1073741896 bytes; a worker thread takes and gives at most 1073741824/,
  );
  goesThrough(tensors(30));
});
