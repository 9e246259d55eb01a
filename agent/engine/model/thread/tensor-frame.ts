import { type Datatype, datatypeSchema } from '../../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../runtime.ts';

/**
 * Named tensors in one block of memory, for threads of one process (native byte order). Everything begins at a multiple
 * of 8 bytes, so that each tensor can be read in place as the typed array that it is:
 *
 *     f64 bytes of the frame, f64 tensors, then for each tensor:
 *     f64 bytes of the name, f64 datatype, f64 rank, f64 elements, f64 bytes of the data, f64 dimensions...,
 *     the name in UTF-8, the data (BYTES: u32 length and UTF-8 of each element)
 */
const WORD = 8;
const FRAME_WORDS = 2;
const TENSOR_WORDS = 5;
const LENGTH_BYTES = 4;

const DATATYPES = datatypeSchema.options;
const CODE = new Map<Datatype, number>(DATATYPES.map((datatype, code) => [datatype, code]));

/** Bytes that a frame of these tensors takes. */
export function frameBytes(tensors: ReadonlyMap<string, Tensor>): number {
  let bytes = FRAME_WORDS * WORD;
  for (const [name, { shape, data }] of tensors) {
    bytes += (TENSOR_WORDS + shape.length) * WORD;
    bytes += aligned(Buffer.byteLength(name)) + aligned(dataBytes(data));
  }
  return bytes;
}

/** Memory that both threads see, with the two ways in which a frame is read and written. */
export interface FrameMemory {
  readonly words: Float64Array;
  readonly bytes: Buffer;
}

export function frameMemory(buffer: ArrayBufferLike): FrameMemory {
  return { words: new Float64Array(buffer), bytes: Buffer.from(buffer as ArrayBuffer) };
}

/** The memory holds at least `frameBytes(tensors)`. */
export function writeFrame(tensors: ReadonlyMap<string, Tensor>, into: FrameMemory): void {
  const { words, bytes } = into;
  words[1] = tensors.size;
  let at = FRAME_WORDS * WORD;
  for (const [name, { datatype, shape, data }] of tensors) {
    const head = at / WORD;
    at += (TENSOR_WORDS + shape.length) * WORD;
    words[head] = bytes.write(name, at);
    words[head + 1] = CODE.get(datatype) ?? -1;
    words[head + 2] = shape.length;
    words[head + 3] = data.length;
    for (let i = 0; i < shape.length; i += 1) words[head + TENSOR_WORDS + i] = shape[i];
    at += aligned(words[head]);
    words[head + 4] = writeData(data, bytes, at);
    at += aligned(words[head + 4]);
  }
  words[0] = at;
}

/** Bytes of the frame that lies in the memory. */
export function writtenBytes({ words }: FrameMemory): number {
  return words[0];
}

/** The tensors of a frame as views of its memory: whoever writes the memory again changes them. */
export function readFrame({ words, bytes }: FrameMemory): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  let at = FRAME_WORDS * WORD;
  for (let left = words[1]; left > 0; left -= 1) {
    const head = at / WORD;
    const nameBytes = words[head];
    const datatype = DATATYPES[words[head + 1]];
    const rank = words[head + 2];
    const shape: number[] = [];
    for (let i = 0; i < rank; i += 1) shape.push(words[head + TENSOR_WORDS + i]);
    at += (TENSOR_WORDS + rank) * WORD;
    const name = bytes.toString('utf8', at, at + nameBytes);
    at += aligned(nameBytes);
    const data = readData(datatype, words[head + 3], bytes, at);
    tensors.set(name, { datatype, shape, data });
    at += aligned(words[head + 4]);
  }
  return tensors;
}

/** A frame that says a text and nothing else. */
export function textFrame(text: string): Map<string, Tensor> {
  return new Map([['text', { datatype: 'BYTES' as const, shape: [1], data: [text] }]]);
}

export function textOf(frame: ReadonlyMap<string, Tensor>): string {
  return String(frame.get('text')?.data[0] ?? '');
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / WORD) * WORD;
}

function dataBytes(data: TensorData): number {
  if (!Array.isArray(data)) return data.byteLength;
  let bytes = 0;
  for (const text of data) bytes += LENGTH_BYTES + Buffer.byteLength(text);
  return bytes;
}

function writeData(data: TensorData, bytes: Buffer, start: number): number {
  if (!Array.isArray(data)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
    return data.byteLength;
  }
  let at = start;
  for (const text of data) {
    const length = bytes.write(text, at + LENGTH_BYTES);
    bytes.writeUInt32LE(length, at);
    at += LENGTH_BYTES + length;
  }
  return at - start;
}

type View = new (buffer: ArrayBufferLike, offset: number, length: number) => TensorData;
const VIEWS: Readonly<Record<Exclude<Datatype, 'BYTES'>, View>> = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  BF16: Uint16Array,
};

function readData(datatype: Datatype, elements: number, bytes: Buffer, start: number): TensorData {
  if (datatype !== 'BYTES') {
    return new VIEWS[datatype](bytes.buffer, bytes.byteOffset + start, elements);
  }
  const texts: string[] = [];
  for (let at = start; texts.length < elements; ) {
    const length = bytes.readUInt32LE(at);
    at += LENGTH_BYTES;
    texts.push(bytes.toString('utf8', at, at + length));
    at += length;
  }
  return texts;
}
