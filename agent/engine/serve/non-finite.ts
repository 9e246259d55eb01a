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
