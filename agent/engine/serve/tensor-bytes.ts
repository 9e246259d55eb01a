import { isUtf8 } from 'node:buffer';
import type { Datatype } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';
import { TensorValueError } from '../model/tensor-data.ts';

type Numeric = Exclude<TensorData, string[]>;
type View = new (buffer: ArrayBufferLike, offset: number, length: number) => Numeric;

/** How each datatype lies in memory and on the wire: little-endian, which every platform of ONNX Runtime is. */
const VIEW: Readonly<Record<Exclude<Datatype, 'BYTES'>, View & { BYTES_PER_ELEMENT: number }>> = {
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

/** Every element of BYTES begins with its length, a u32. */
const LENGTH_BYTES = 4;

/** Bytes of one element; null for BYTES, whose elements say their own length. */
export function elementBytes(datatype: Datatype): number | null {
  return datatype === 'BYTES' ? null : VIEW[datatype].BYTES_PER_ELEMENT;
}

/**
 * A tensor's bytes as the runtime's array: a view where they lie aligned, otherwise one copy. Every bit pattern of
 * a float passes as it is, NaN included. The caller has checked that the size fits `count`, except for BYTES.
 * Throws `TensorValueError` for BOOL that is neither 0 nor 1 and for BYTES that `stringOf` refuses.
 */
export function dataFromBytes(
  datatype: Datatype,
  count: number,
  bytes: Buffer,
  what: string,
): TensorData {
  if (datatype === 'BYTES') return stringsFrom(bytes, count, what);
  if (datatype === 'BOOL') checkBooleans(bytes, what);
  const ArrayType = VIEW[datatype];
  if (bytes.byteOffset % ArrayType.BYTES_PER_ELEMENT === 0) {
    return new ArrayType(bytes.buffer, bytes.byteOffset, count);
  }
  return new ArrayType(new Uint8Array(bytes).buffer, 0, count);
}

/** A tensor's bytes for the wire; a view of its memory, except for BYTES. */
export function bytesOf(tensor: Tensor): Buffer {
  const { data } = tensor;
  if (Array.isArray(data)) return stringsToBytes(data);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

function checkBooleans(bytes: Buffer, what: string): void {
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] > 1) {
      throw new TensorValueError(`${what}[${at}] is the byte ${bytes[at]}; BOOL needs 0 or 1`);
    }
  }
}

function stringsFrom(bytes: Buffer, count: number, what: string): string[] {
  const strings: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const place = strings.length;
    if (place === count) {
      throw new TensorValueError(
        `${what} has ${bytes.length - at} bytes after its ${count} elements`,
      );
    }
    const start = at + LENGTH_BYTES;
    const length = start <= bytes.length ? bytes.readUInt32LE(at) : 0;
    if (length > bytes.length - start) {
      throw new TensorValueError(
        `${what}[${place}] needs 4 bytes of length and that many bytes; ${bytes.length - at} are left`,
      );
    }
    strings.push(stringOf(bytes.subarray(start, start + length), `${what}[${place}]`));
    at = start + length;
  }
  if (strings.length < count) {
    throw new TensorValueError(
      `${what} holds ${strings.length} elements; its shape needs ${count}`,
    );
  }
  return strings;
}

/**
 * One element of BYTES as text, which is all that the runtime's Node binding takes. Bytes that are not UTF-8 would
 * come out as U+FFFD, and what follows a NUL would be cut off there without a word: both are refused here.
 */
export function stringOf(bytes: Buffer, what: string): string {
  if (bytes.includes(0)) {
    throw new TensorValueError(`${what} contains a NUL byte, at which this runtime cuts a string`);
  }
  if (!isUtf8(bytes)) {
    throw new TensorValueError(`${what} is not UTF-8; this runtime takes BYTES as text only`);
  }
  return bytes.toString('utf8');
}

function stringsToBytes(strings: readonly string[]): Buffer {
  const lengths = strings.map((text) => Buffer.byteLength(text));
  const total = lengths.reduce((sum, length) => sum + LENGTH_BYTES + length, 0);
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [place, text] of strings.entries()) {
    at = bytes.writeUInt32LE(lengths[place], at);
    at += bytes.write(text, at);
  }
  return bytes;
}
