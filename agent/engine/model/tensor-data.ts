import { type Datatype, INTEGER_BOUNDS } from '../../../protocol/tensor.ts';
import type { TensorData } from './runtime.ts';

/** A value in a request's data that its datatype can't hold. */
export class TensorValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TensorValueError';
  }
}

/**
 * JSON values, flat and row-major, as the typed array of their datatype. Exact: an integer out of range, a
 * number that overflows FP32, or an unsafe INT64 (|x| > 2^53 - 1, which JSON.parse has already rounded) is an
 * error that names the value, its place and the bound. `what` names the tensor in it.
 */
export function toTensorData(
  datatype: Datatype,
  values: readonly unknown[],
  what: string,
): TensorData {
  switch (datatype) {
    case 'FP32':
      return toFloat32(values, what);
    case 'FP64':
      return fill(new Float64Array(values.length), values, datatype, what);
    case 'INT64':
    case 'UINT64':
      return toBigInts(datatype, values, what);
    case 'BOOL':
      return Uint8Array.from(values, (value, at) => {
        if (typeof value !== 'boolean') throw wrong(value, at, what, datatype, 'true or false');
        return value ? 1 : 0;
      });
    case 'BYTES':
      return values.map((value, at) => {
        if (typeof value !== 'string') throw wrong(value, at, what, datatype, 'a string');
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
): TensorData {
  const checked = values.map((value, at) => {
    // Golden vectors carry 64-bit integers as text, where JSON keeps them exact.
    if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) {
      const exact = BigInt(value);
      const fits = datatype === 'INT64' ? BigInt.asIntN(64, exact) : BigInt.asUintN(64, exact);
      if (fits !== exact) throw wrong(value, at, what, datatype, 'an integer of 64 bits');
      return exact;
    }
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      throw wrong(value, at, what, datatype, 'an integer of at most 9007199254740991 in JSON');
    }
    if (datatype === 'UINT64' && value < 0) throw wrong(value, at, what, datatype, 'at least 0');
    return BigInt(value);
  });
  return datatype === 'INT64' ? BigInt64Array.from(checked) : BigUint64Array.from(checked);
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
