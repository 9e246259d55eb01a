import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_RANK } from '../../protocol/limits.ts';
import {
  DATATYPE_OF_ONNX,
  elementCount,
  INTEGER_BOUNDS,
  shapeFits,
  showShape,
  tensorSpecSchema,
} from '../../protocol/tensor.ts';

describe('shapes', () => {
  it('hold the product of their dimensions, one for a scalar', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([3, 0, 2])).toBe(0);
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 6 }), (shape) => {
        expect(elementCount(shape)).toBe(shape.reduce((product, size) => product * size, 1));
      }),
    );
  });

  it('fit a specification with free dimensions, of the same rank only', () => {
    expect(shapeFits([5, 10], [-1, 10])).toBe(true);
    expect(shapeFits([0, 10], [-1, 10])).toBe(true);
    expect(shapeFits([5, 9], [-1, 10])).toBe(false);
    expect(shapeFits([5], [-1, 10])).toBe(false);
    expect(shapeFits([], [])).toBe(true);
  });

  it('read as people write them', () => {
    expect(showShape([-1, 10])).toBe('[-1,10]');
    expect(showShape([])).toBe('[]');
  });

  it('have at most 16 dimensions, none below -1', () => {
    const spec = (shape: number[]) =>
      tensorSpecSchema.safeParse({ name: 'x', datatype: 'FP32', shape }).success;
    expect(spec(new Array(MAX_RANK).fill(1))).toBe(true);
    expect(spec(new Array(MAX_RANK + 1).fill(1))).toBe(false);
    expect(spec([-1])).toBe(true);
    expect(spec([-2])).toBe(false);
  });
});

describe('datatypes', () => {
  it('are mapped one to one from ONNX', () => {
    expect(new Set(DATATYPE_OF_ONNX.values()).size).toBe(DATATYPE_OF_ONNX.size);
  });

  it('have the bounds of their typed arrays', () => {
    const arrays = {
      UINT8: Uint8Array,
      UINT16: Uint16Array,
      UINT32: Uint32Array,
      INT8: Int8Array,
      INT16: Int16Array,
      INT32: Int32Array,
    };
    for (const [datatype, TypedArray] of Object.entries(arrays)) {
      const bounds = INTEGER_BOUNDS[datatype as keyof typeof INTEGER_BOUNDS] ?? [];
      expect(Array.from(TypedArray.from(bounds))).toEqual(bounds);
      const past = bounds.map((bound, at) => (at === 0 ? bound - 1 : bound + 1));
      expect(Array.from(TypedArray.from(past))).not.toContain(past[0]);
    }
  });
});
