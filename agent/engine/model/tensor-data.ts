import { type Datatype, INTEGER_BOUNDS } from '../../../protocol/tensor.ts';
import type { TensorData } from './runtime.ts';

const NOT_TEXT = /[\0\p{Surrogate}]/u;

/** A value in a request's data that its datatype can't hold. */
export class TensorValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TensorValueError';
  }
}

/**
 * JSON values, flat and row-major, as the typed array of their datatype. Exact: an integer out of range, a
 * number that overflows FP32, a string that is no text is an error that names the value, its place and the bound.
 * `what` names the tensor in it. A 64-bit integer beyond 2^53 - 1 was rounded by JSON.parse: `literals` gives the
 * text of all values, in their order, to read it from; without it such a value is an error.
 */
export function toTensorData(
  datatype: Datatype,
  values: readonly unknown[],
  what: string,
  literals?: () => readonly string[],
): TensorData {
  switch (datatype) {
    case 'FP32':
      return toFloat32(values, what);
    case 'FP64':
      return fill(new Float64Array(values.length), values, datatype, what);
    case 'INT64':
    case 'UINT64':
      return toBigInts(datatype, values, what, literals);
    case 'BOOL':
      return Uint8Array.from(values, (value, at) => {
        if (typeof value !== 'boolean') throw wrong(value, at, what, datatype, 'true or false');
        return value ? 1 : 0;
      });
    case 'BYTES':
      return values.map((value, at) => {
        if (typeof value !== 'string') throw wrong(value, at, what, datatype, 'a string');
        if (NOT_TEXT.test(value)) {
          // The runtime's Node binding cuts a string at NUL and makes a lone surrogate U+FFFD, without a word.
          throw wrong(value, at, what, datatype, 'text without NUL and lone surrogates');
        }
        return value;
      });
    case 'FP16':
    case 'BF16':
      throw new TensorValueError(
        `${what}: ${datatype} has no JSON form; send FP32, or the tensor in binary`,
      );
    default:
      return toIntegers(datatype, values, what);
  }
}

function toFloat32(values: readonly unknown[], what: string): Float32Array {
  const data = new Float32Array(values.length);
  for (let at = 0; at < data.length; at += 1) {
    const value = values[at];
    if (typeof value !== 'number') throw wrong(value, at, what, 'FP32', 'a number');
    data[at] = value;
    if (!Number.isFinite(data[at])) {
      throw wrong(value, at, what, 'FP32', 'a finite number (|x| <= 3.4028235e38)');
    }
  }
  return data;
}

function fill(
  data: Float64Array,
  values: readonly unknown[],
  datatype: Datatype,
  what: string,
): Float64Array {
  for (let at = 0; at < data.length; at += 1) {
    const value = values[at];
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw wrong(value, at, what, datatype, 'a finite number');
    }
    data[at] = value;
  }
  return data;
}

function toIntegers(datatype: Datatype, values: readonly unknown[], what: string): TensorData {
  const bounds = INTEGER_BOUNDS[datatype];
  if (bounds === undefined) throw new TensorValueError(`${what}: unknown datatype ${datatype}`);
  const [low, high] = bounds;
  const checked = values.map((value, at) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
      throw wrong(value, at, what, datatype, `an integer from ${low} to ${high}`);
    }
    return value;
  });
  switch (datatype) {
    case 'UINT8':
      return Uint8Array.from(checked);
    case 'UINT16':
      return Uint16Array.from(checked);
    case 'UINT32':
      return Uint32Array.from(checked);
    case 'INT8':
      return Int8Array.from(checked);
    case 'INT16':
      return Int16Array.from(checked);
    default:
      return Int32Array.from(checked);
  }
}

function toBigInts(
  datatype: 'INT64' | 'UINT64',
  values: readonly unknown[],
  what: string,
  literals?: () => readonly string[],
): TensorData {
  const data =
    datatype === 'INT64' ? new BigInt64Array(values.length) : new BigUint64Array(values.length);
  let texts: readonly string[] | null = null;
  for (let at = 0; at < data.length; at += 1) {
    const value = values[at];
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      if (value < 0 && datatype === 'UINT64') throw wrong(value, at, what, datatype, 'at least 0');
      data[at] = BigInt(value);
      continue;
    }
    if (typeof value === 'number' && literals !== undefined) texts ??= literals();
    // Golden vectors carry 64-bit integers as text, where JSON keeps them exact.
    const text = typeof value === 'number' ? texts?.[at] : value;
    data[at] = exactInteger(text, value, at, what, datatype);
  }
  return data;
}

function exactInteger(
  text: unknown,
  value: unknown,
  at: number,
  what: string,
  datatype: 'INT64' | 'UINT64',
): bigint {
  const range = datatype === 'INT64' ? '-2^63 to 2^63 - 1' : '0 to 2^64 - 1';
  if (typeof text !== 'string' || !/^-?\d{1,20}$/.test(text)) {
    throw wrong(value, at, what, datatype, `an integer from ${range}, in digits only`);
  }
  const exact = BigInt(text);
  const fits = datatype === 'INT64' ? BigInt.asIntN(64, exact) : BigInt.asUintN(64, exact);
  if (fits !== exact) throw wrong(text, at, what, datatype, `an integer from ${range}`);
  return exact;
}

function wrong(
  value: unknown,
  at: number,
  what: string,
  datatype: Datatype,
  expected: string,
): TensorValueError {
  return new TensorValueError(
    `${what}[${at}] is ${showValue(value)}; ${datatype} needs ${expected}`,
  );
}

/** A JSON value for an error message: short, and never walked, because a client decides how deep it is. */
export function showValue(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value);
}
