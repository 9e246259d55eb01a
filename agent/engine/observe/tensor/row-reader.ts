import { MAX_MAGNITUDE } from '../../../../protocol/sketch/moments.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';
import { MAX_WATCHED_ELEMENTS } from '../../../../protocol/tensor-profile.ts';
import type { Tensor } from '../../model/runtime.ts';

/** Numbers of a tensor; other kinds of elements can't be watched as a whole. */
export type NumberData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Reads rows of a tensor, one at a time, into a vector of fixed width. */
export interface RowReader {
  /** Names of what is measured on a row as it is read. */
  readonly measures: readonly string[];
  readonly width: number;
  /** Whether rows of this shape are what was watched in the baseline. */
  fits(shape: readonly number[], rows: number): boolean;
  /** False when the row holds NaN, ±Inf or what is too large to be counted; `row` and `values` (one for each of `measures`) are then unusable. */
  read(data: NumberData, at: number, row: Float64Array, values: Float64Array): boolean;
}

/** Every `step`-th element, so that there are at most MAX_WATCHED_ELEMENTS. Fixed by the width alone. */
export function strideOf(elements: number): { step: number; width: number } {
  const step = Math.ceil(elements / MAX_WATCHED_ELEMENTS);
  return { step, width: Math.ceil(elements / step) };
}

/** An embedding: its elements in their order. */
export class VectorReader implements RowReader {
  readonly measures = ['norm'];
  readonly width: number;
  readonly #elements: number;
  readonly #step: number;

  constructor(elements: number) {
    this.#elements = elements;
    const { step, width } = strideOf(elements);
    this.#step = step;
    this.width = width;
  }

  fits(shape: readonly number[], rows: number): boolean {
    return shape.reduce((product, size) => product * size, 1) === rows * this.#elements;
  }

  read(data: NumberData, at: number, row: Float64Array, values: Float64Array): boolean {
    const step = this.#step;
    let squares = 0;
    for (let k = 0, from = at * this.#elements; k < row.length; k += 1, from += step) {
      const x = data[from];
      row[k] = x;
      squares += x * x;
    }
    values[0] = Math.sqrt(squares);
    return squares <= MAX_MAGNITUDE;
  }
}

/** What can be read as numbers; FP16 and BF16 travel as bit patterns, and 64-bit integers are no numbers here. */
const NUMBERS: ReadonlySet<Datatype> = new Set([
  'FP32',
  'FP64',
  'INT8',
  'UINT8',
  'INT16',
  'UINT16',
  'INT32',
  'UINT32',
]);

export function isWatchable(datatype: Datatype): boolean {
  return NUMBERS.has(datatype);
}

/** The tensor's elements; null where they are no numbers. */
export function numbersOf({ datatype, data }: Tensor): NumberData | null {
  const other =
    data instanceof BigInt64Array || data instanceof BigUint64Array || Array.isArray(data);
  return other || !isWatchable(datatype) ? null : data;
}
