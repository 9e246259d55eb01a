import type { Tensor } from '../model/runtime.ts';

/** Is any value of these tensors NaN or infinite? */
export function hasNonFinite(tensors: ReadonlyMap<string, Tensor>): boolean {
  for (const { data, datatype } of tensors.values()) {
    // FP16 and BF16 have all exponent bits set exactly in infinities and NaN.
    const exponent = datatype === 'FP16' ? 0x7c00 : datatype === 'BF16' ? 0x7f80 : 0;
    if (exponent !== 0 && data instanceof Uint16Array) {
      if (data.some((bits) => (bits & exponent) === exponent)) return true;
    } else if (data instanceof Float32Array || data instanceof Float64Array) {
      if (!data.every(Number.isFinite)) return true;
    }
  }
  return false;
}

/** Elements of one tensor that `someNonFinite` looks at: a microsecond of work. */
const MOST_ELEMENTS = 1024;

/**
 * As `hasNonFinite`, in bounded time: of a tensor with more than 1,024 elements every n-th is looked at, with an n that has no
 * divisor in common with the length of a row, so that no column of a matrix is left out.
 */
export function someNonFinite(tensors: ReadonlyMap<string, Tensor>): boolean {
  for (const { data, datatype, shape } of tensors.values()) {
    const step = stepOver(data.length, shape);
    if (data instanceof Float32Array) {
      if (anyOf32(data, step)) return true;
    } else if (data instanceof Float64Array) {
      if (anyOf64(data, step)) return true;
    } else if (data instanceof Uint16Array) {
      const exponent = datatype === 'FP16' ? 0x7c00 : datatype === 'BF16' ? 0x7f80 : 0;
      for (let at = 0; exponent !== 0 && at < data.length; at += step) {
        if ((data[at] & exponent) === exponent) return true;
      }
    }
  }
  return false;
}

function stepOver(elements: number, shape: readonly number[]): number {
  if (elements <= MOST_ELEMENTS) return 1;
  const width = shape.length < 2 ? 1 : elements / shape[0];
  let step = Math.ceil(elements / MOST_ELEMENTS);
  while (commonDivisor(step, width) > 1) step += 1;
  return step;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/** Zero times a finite number is zero, and times any other NaN. One loop for each kind of array, for the compiler. */
function anyOf32(data: Float32Array, step: number): boolean {
  let sum = 0;
  for (let at = 0; at < data.length; at += step) sum += data[at] * 0;
  return Number.isNaN(sum);
}

function anyOf64(data: Float64Array, step: number): boolean {
  let sum = 0;
  for (let at = 0; at < data.length; at += step) sum += data[at] * 0;
  return Number.isNaN(sum);
}
