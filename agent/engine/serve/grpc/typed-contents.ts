import { type Datatype, INTEGER_BOUNDS } from '../../../../protocol/tensor.ts';
import type { TensorData } from '../../model/runtime.ts';
import { OipError } from '../oip-error.ts';
import { stringOf } from '../tensor-bytes.ts';
import { BLOCK, FIXED32, FIXED64, ProtoReader, VARINT } from './proto-reader.ts';

type Field = readonly [number: number, name: string, wire: number];

const BOOL: Field = [1, 'bool_contents', VARINT];
const INT: Field = [2, 'int_contents', VARINT];
const INT64: Field = [3, 'int64_contents', VARINT];
const UINT: Field = [4, 'uint_contents', VARINT];
const UINT64: Field = [5, 'uint64_contents', VARINT];
const FP32: Field = [6, 'fp32_contents', FIXED32];
const FP64: Field = [7, 'fp64_contents', FIXED64];
const BYTES: Field = [8, 'bytes_contents', BLOCK];

/** The field of `InferTensorContents` that carries a datatype; FP16 and BF16 have none. */
export const CONTENTS_FIELD: Readonly<Record<Datatype, Field | null>> = {
  BOOL,
  UINT8: UINT,
  UINT16: UINT,
  UINT32: UINT,
  UINT64,
  INT8: INT,
  INT16: INT,
  INT32: INT,
  INT64,
  FP16: null,
  FP32,
  FP64,
  BYTES,
  BF16: null,
};

const FIELDS = [BOOL, INT, INT64, UINT, UINT64, FP32, FP64, BYTES];

/** Fills an array of known length with one element after the other. */
interface Sink {
  readonly data: TensorData;
  /** Reads one element and puts it at this place. */
  put(reader: ProtoReader, place: number): void;
}

/**
 * The `count` values of an input's typed contents. A value out of its datatype's range, another datatype's field,
 * too few and too many values are an `OipError` 'bad_request' that names input, place and bound; what a client
 * claims about `count` allocates nothing before that many values can be there.
 */
export function readContents(
  datatype: Datatype,
  count: number,
  blocks: readonly Buffer[],
  what: string,
): TensorData {
  const field = CONTENTS_FIELD[datatype];
  if (field === null) {
    throw bad(`${what} is ${datatype}, which has no typed contents; use raw_input_contents`);
  }
  let sizeBytes = 0;
  for (const block of blocks) sizeBytes += block.length;
  // The shortest element has a byte, even an empty one of BYTES has two.
  if (count > sizeBytes) throw wrongCount(what, field, 'fewer', count);
  const sink = sinkFor(datatype, count, what);
  let place = 0;
  for (const block of blocks) place = readBlock(block, field, sink, place, count, what);
  if (place < count) throw wrongCount(what, field, place, count);
  return sink.data;
}

function readBlock(
  block: Buffer,
  field: Field,
  sink: Sink,
  from: number,
  count: number,
  what: string,
): number {
  const reader = new ProtoReader(block, `InferTensorContents of ${what}`);
  const [number, , wire] = field;
  const single = number * 8 + wire;
  const packed = number * 8 + BLOCK;
  let place = from;
  while (reader.at < block.length) {
    const tag = reader.passes(single) ? single : reader.tag();
    if (tag === single) {
      if (place === count) throw wrongCount(what, field, 'more', count);
      sink.put(reader, place);
      place += 1;
    } else if (tag === packed) {
      const elements = new ProtoReader(reader.block(), reader.what);
      const room = count - place;
      const taken = takeWhole(elements.bytes, wire, sink.data, place, room);
      if (taken !== null) place += taken;
      while (taken === null && elements.at < elements.bytes.length) {
        if (place === count) throw wrongCount(what, field, 'more', count);
        sink.put(elements, place);
        place += 1;
      }
    } else {
      if (tag >>> 3 === number) throw reader.broken(`wire type ${tag & 7} of ${field[1]}`);
      const other = FIELDS.find(([known]) => known === tag >>> 3);
      // An empty packed field of another type carries nothing, and some encoders write it.
      if (other !== undefined && !isEmpty(reader, tag)) {
        throw bad(`${what} has ${other[1]}; its values belong into ${field[1]}`);
      }
      if (other === undefined) reader.skip(tag);
    }
  }
  return place;
}

/** Passes over an empty block. */
function isEmpty(reader: ProtoReader, tag: number): boolean {
  return (tag & 7) === BLOCK && tag >>> 3 !== BYTES[0] && reader.block().length === 0;
}

/** Packed FP32 and FP64 lie on the wire as in memory: copied at once; null where that cannot be. */
function takeWhole(
  bytes: Buffer,
  wire: number,
  data: TensorData,
  place: number,
  room: number,
): number | null {
  if (wire === VARINT || Array.isArray(data)) return null;
  const each = data.BYTES_PER_ELEMENT;
  // Left to the loop over elements, which says what is wrong.
  if (bytes.length % each !== 0 || bytes.length / each > room) return null;
  new Uint8Array(data.buffer, data.byteOffset + place * each).set(bytes);
  return bytes.length / each;
}

function sinkFor(datatype: Datatype, count: number, what: string): Sink {
  switch (datatype) {
    case 'BOOL': {
      const data = new Uint8Array(count);
      return sink(data, (reader, at) => {
        data[at] = reader.bool() ? 1 : 0;
      });
    }
    case 'INT64':
    case 'UINT64':
      return longs(datatype === 'INT64' ? new BigInt64Array(count) : new BigUint64Array(count));
    case 'FP32': {
      const data = new Float32Array(count);
      // By bits: through a number, a signalling NaN would come out quiet.
      const bits = new Int32Array(data.buffer);
      return sink(data, (reader, at) => {
        bits[at] = reader.bytes.readInt32LE(reader.fixed(4));
      });
    }
    case 'FP64': {
      const data = new Float64Array(count);
      const halves = new Int32Array(data.buffer);
      return sink(data, (reader, at) => {
        const from = reader.fixed(8);
        halves[at * 2] = reader.bytes.readInt32LE(from);
        halves[at * 2 + 1] = reader.bytes.readInt32LE(from + 4);
      });
    }
    case 'BYTES': {
      const data: string[] = [];
      return sink(data, (reader, at) => {
        data[at] = stringOf(reader.block(), `${what}[${at}]`);
      });
    }
    default:
      return integers(datatype, count, what);
  }
}

function sink(data: TensorData, put: Sink['put']): Sink {
  return { data, put };
}

/** Both halves of each varint go where the platform, little-endian, keeps them: no bigint on the way. */
function longs(data: BigInt64Array | BigUint64Array): Sink {
  const halves = new Int32Array(data.buffer);
  return sink(data, (reader, at) => {
    reader.varint();
    halves[at * 2] = reader.low;
    halves[at * 2 + 1] = reader.high;
  });
}

const ARRAYS = {
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
} as const;

function integers(datatype: Datatype, count: number, what: string): Sink {
  const bounds = INTEGER_BOUNDS[datatype];
  if (bounds === undefined || !(datatype in ARRAYS)) throw bad(`${what}: ${datatype} is unknown`);
  const [least, most] = bounds;
  const data = new ARRAYS[datatype as keyof typeof ARRAYS](count);
  const unsigned = least === 0;
  return sink(data, (reader, at) => {
    // int32 and uint32 are the low half of whatever varint was written, says protobuf.
    const value = unsigned ? reader.varint() >>> 0 : reader.varint();
    if (value < least || value > most) {
      throw bad(
        `${what}[${at}] is ${value}; ${datatype} needs an integer from ${least} to ${most}`,
      );
    }
    data[at] = value;
  });
}

function wrongCount(
  what: string,
  [, name]: Field,
  given: number | string,
  count: number,
): OipError {
  return bad(`${what} has ${given} ${name}; its shape needs ${count}`);
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
