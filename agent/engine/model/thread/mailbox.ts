import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { AgentError } from '../../../error.ts';
import type { Tensor } from '../runtime.ts';
import { FrameBudget, MAX_TENSORS_BYTES } from './frame-budget.ts';
import {
  type FrameMemory,
  frameBytes,
  frameMemory,
  readFrame,
  writeFrame,
  writtenBytes,
} from './tensor-frame.ts';

/**
 * One direction between two threads: memory for one frame, and a port over which its writer announces other memory
 * before it uses it. The port is read synchronously, by a thread that may be between two `Atomics.wait`.
 */
export class FrameWriter {
  readonly #port: MessagePort;
  readonly #what: 'inputs' | 'outputs';
  readonly #budget = new FrameBudget(0);
  #memory: FrameMemory = frameMemory(new SharedArrayBuffer(0));

  constructor(port: MessagePort, what: 'inputs' | 'outputs') {
    this.#port = port;
    this.#what = what;
  }

  /**
   * Throws `AgentError` 'engine' for tensors over `MAX_TENSORS_BYTES`, and what the allocation of their memory throws;
   * the next frame goes as if this one had not been.
   */
  write(tensors: ReadonlyMap<string, Tensor>): void {
    const bytes = frameBytes(tensors);
    if (bytes > MAX_TENSORS_BYTES) {
      throw new AgentError(
        'engine',
        `the ${this.#what} take ${bytes} bytes; a worker thread takes and gives at most ${MAX_TENSORS_BYTES} in one call`,
      );
    }
    const size = this.#budget.next(bytes);
    if (size !== null) {
      const buffer = new SharedArrayBuffer(size);
      const memory = frameMemory(buffer);
      this.#port.postMessage(buffer);
      this.#memory = memory;
      this.#budget.resized(size);
    }
    writeFrame(tensors, this.#memory);
  }
}

export class FrameReader {
  readonly #port: MessagePort;
  #memory: FrameMemory = frameMemory(new SharedArrayBuffer(0));
  #copy: FrameMemory = frameMemory(new ArrayBuffer(0));

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** The frame in memory of its own, so that it outlives the next one. */
  readOwn(): Map<string, Tensor> {
    const { bytes, words } = this.#current();
    const used = new Uint8Array(bytes.buffer, 0, words[0]);
    // `slice` of a view of shared memory gives memory that is not shared.
    return readFrame(frameMemory(used.slice().buffer));
  }

  /**
   * The frame in memory that the next call overwrites. A copy still: ONNX Runtime's Node binding takes no view of
   * shared memory ("Invalid argument"). 602 KB take 15 microseconds.
   */
  readScratch(): Map<string, Tensor> {
    const memory = this.#current();
    const used = writtenBytes(memory);
    const capacity = memory.bytes.byteLength;
    if (this.#copy.bytes.byteLength !== capacity)
      this.#copy = frameMemory(new ArrayBuffer(capacity));
    this.#copy.bytes.set(memory.bytes.subarray(0, used));
    return readFrame(this.#copy);
  }

  #current(): FrameMemory {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return this.#memory;
      this.#memory = frameMemory(received.message as SharedArrayBuffer);
    }
  }
}
