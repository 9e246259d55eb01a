import type { Datatype } from '../../protocol/tensor.ts';
import { elementCount } from '../../protocol/tensor.ts';
import type { TensorData } from '../engine/model/runtime.ts';
import { AgentError } from '../error.ts';

/** An array as `numpy.save` writes it. */
export interface NpyArray {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** All elements, row-major; a view of the file's bytes. */
  readonly data: Exclude<TensorData, string[]>;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const HEADER =
  /^\{'descr': '([<>|=][a-z]\d+)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}\s*$/;

type View = new (buffer: ArrayBufferLike, offset: number, count: number) => NpyArray['data'];
const TYPES: Readonly<Record<string, readonly [Datatype, View]>> = {
  '<f4': ['FP32', Float32Array],
  '<f8': ['FP64', Float64Array],
  '|u1': ['UINT8', Uint8Array],
  '|i1': ['INT8', Int8Array],
  '<u2': ['UINT16', Uint16Array],
  '<i2': ['INT16', Int16Array],
  '<u4': ['UINT32', Uint32Array],
  '<i4': ['INT32', Int32Array],
  '<i8': ['INT64', BigInt64Array],
  '<u8': ['UINT64', BigUint64Array],
};

export function isNpy(file: Uint8Array): boolean {
  return MAGIC.equals(file.subarray(0, MAGIC.length));
}

/**
 * Reads a `.npy` file, format 1 to 3 (numpy.lib.format). Throws `AgentError` 'configuration' where its elements are none that
 * a model takes, lie column by column, or are more or fewer than its shape says.
 */
export function parseNpy(file: Uint8Array, name: string): NpyArray {
  const wrong = (what: string) => new AgentError('configuration', `${name}: ${what}`);
  if (!isNpy(file) || file.length < 12) throw wrong('is not a .npy file; write it with numpy.save');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const major = file[6];
  const [from, length] =
    major === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const text = Buffer.from(file.subarray(from, from + length)).toString('latin1');
  const header = HEADER.exec(text);
  if (header === null) {
    throw wrong(`its header is ${JSON.stringify(text.slice(0, 120))}; a plain array is needed`);
  }
  const [, descr, fortran, sizes] = header;
  const type = TYPES[descr];
  if (type === undefined) {
    const known = Object.keys(TYPES).join(', ');
    throw wrong(`its elements are '${descr}'; these are read: ${known}. Convert with .astype`);
  }
  if (fortran === 'True') {
    throw wrong('its elements lie column by column; save numpy.ascontiguousarray of it');
  }
  const shape = sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]));
  const [datatype, Elements] = type;
  const count = elementCount(shape);
  const bytes = file.subarray(from + length);
  const needed = count * Number(descr.slice(2));
  if (bytes.length !== needed) {
    throw wrong(`holds ${bytes.length} bytes of elements; its shape (${sizes}) takes ${needed}`);
  }
  // Elements begin at a multiple of 64 in the file, and of 8 in memory unless the file lies somewhere in a larger buffer.
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
  return { datatype, shape, data: new Elements(aligned.buffer, aligned.byteOffset, count) };
}
