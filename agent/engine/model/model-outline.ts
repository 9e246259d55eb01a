import { type FileHandle, open } from 'node:fs/promises';
import { ProtocolError } from '../../../protocol/error.ts';

const WINDOW_BYTES = 64 * 1024;
/** A tag and a length: two varints. */
const MAX_HEAD_BYTES = 20;

const GRAPH = 7;
const INITIALIZER = 5;
/** Where `TensorProto` keeps values: float, int32, string, int64, raw, double and uint64 data. Numbers from onnx.proto. */
const DATA_FIELDS = new Set([4, 5, 6, 7, 9, 10, 11]);
/** Shorter values are kept: dropping them saves nothing. */
const LEAST_DROPPED_BYTES = 4096;

/**
 * An ONNX file without the values of its weights: what `readModelInfo` reads of it is the same. Reads a large file in
 * milliseconds, and holds no copy of it that would wait for the garbage collector. Throws `ProtocolError` 'onnx'.
 */
export async function readModelOutline(path: string): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    return Buffer.concat(await outline(new FileCursor(handle), size, []));
  } finally {
    await handle.close();
  }
}

async function outline(cursor: FileCursor, end: number, path: number[]): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  while (cursor.at < end) {
    const start = cursor.at;
    const tag = await cursor.varint(end);
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) await cursor.varint(end);
    else if (wire === 1) cursor.at += 8;
    else if (wire === 5) cursor.at += 4;
    else if (wire === 2) {
      const length = await cursor.varint(end);
      const inner = [...path, field];
      const head = cursor.at;
      if (length > end - head) throw broken(`a field at byte ${start} reaches past its end`);
      if (holdsWeights(inner)) {
        const kept = Buffer.concat(await outline(cursor, head + length, inner));
        parts.push(varint(tag), varint(kept.length), kept);
        continue;
      }
      cursor.at = head + length;
      if (isWeight(inner) && length >= LEAST_DROPPED_BYTES) continue;
    } else throw broken(`wire type ${wire} at byte ${start}`);
    if (cursor.at > end) throw broken(`a field at byte ${start} reaches past its end`);
    parts.push(await cursor.copy(start, cursor.at));
  }
  return parts;
}

function holdsWeights(path: readonly number[]): boolean {
  return path[0] === GRAPH && (path.length === 1 || (path.length === 2 && path[1] === INITIALIZER));
}

function isWeight(path: readonly number[]): boolean {
  return path.length === 3 && DATA_FIELDS.has(path[2]);
}

/** A place in a file, read a window at a time. */
class FileCursor {
  readonly #handle: FileHandle;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  at = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async varint(end: number): Promise<number> {
    if (this.at + MAX_HEAD_BYTES > this.#windowStart + this.#window.length) await this.#load();
    let value = 0;
    for (let shift = 1; shift < 2 ** 53; shift *= 128) {
      const byte = this.#window[this.at - this.#windowStart];
      if (this.at >= end || byte === undefined) break;
      this.at += 1;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
    // Negative numbers take ten bytes; none of them is a tag or a length.
    return this.#skipVarint(end);
  }

  async copy(start: number, end: number): Promise<Buffer> {
    const inWindow = start >= this.#windowStart && end <= this.#windowStart + this.#window.length;
    if (inWindow) return this.#window.subarray(start - this.#windowStart, end - this.#windowStart);
    return this.#read(start, end - start);
  }

  #skipVarint(end: number): number {
    const byte = this.#window[this.at - this.#windowStart];
    if (this.at >= end || byte === undefined || byte >= 0x80) {
      throw broken(`a varint is cut off or too long at byte ${this.at}`);
    }
    this.at += 1;
    return Number.POSITIVE_INFINITY;
  }

  async #load(): Promise<void> {
    // A window that is still viewed by copied parts must not be overwritten: each is new.
    this.#window = await this.#read(this.at, WINDOW_BYTES);
    this.#windowStart = this.at;
  }

  async #read(start: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(
        buffer,
        filled,
        length - filled,
        start + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function broken(what: string): ProtocolError {
  return new ProtocolError('onnx', `not a usable ONNX file: ${what}`);
}
