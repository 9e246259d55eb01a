import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  addNumeric,
  addNumericColumn,
  emptyNumeric,
  mergeNumeric,
} from '../../../protocol/sketch/histogram.ts';
import { anyNumber } from './windows.ts';

const GRID = { edges: Float64Array.of(-1, 0, Number.MIN_VALUE, 2) };

it('puts every value in exactly one place', () => {
  fc.assert(
    fc.property(fc.array(fc.option(anyNumber)), (values) => {
      const sketch = emptyNumeric(GRID);
      for (const value of values) addNumeric(sketch, GRID, value);
      const counted = sketch.counts.reduce((sum, count) => sum + count, 0);
      expect(counted + sketch.missing + sketch.nonFinite).toBe(values.length);
      expect(sketch.moments.count).toBe(counted);
      expect(sketch.missing).toBe(values.filter((value) => value === null).length);
    }),
  );
});

it('counts a column of many tensors exactly as value by value', () => {
  const width = 3;
  const tensor = fc
    .array(fc.tuple(anyNumber, anyNumber, anyNumber), { maxLength: 5 })
    .map((rows) => ({ data: Float64Array.from(rows.flat()), rows: rows.length, width }));
  fc.assert(
    fc.property(fc.array(tensor), fc.nat(width - 1), (parts, column) => {
      const together = emptyNumeric(GRID);
      addNumericColumn(together, GRID, parts, column);
      const apart = emptyNumeric(GRID);
      for (const { data, rows } of parts) {
        for (let row = 0; row < rows; row += 1) addNumeric(apart, GRID, data[row * width + column]);
      }
      expect(together).toEqual(apart);
    }),
  );
});

it('counts in bins closed on the left, with their sums', () => {
  const sketch = emptyNumeric(GRID);
  for (const x of [-5, -1, -0.5, 0, -0, 1, 2, 3, null, undefined, NaN, -Infinity, 1e200]) {
    addNumeric(sketch, GRID, x);
  }
  expect([...sketch.counts]).toEqual([1, 2, 2, 1, 2]);
  expect([...sketch.sums]).toEqual([-5, -1.5, 0, 1, 5]);
  expect(sketch).toMatchObject({ missing: 2, nonFinite: 3 });
});

it('refuses to merge other bins', () => {
  const other = emptyNumeric({ edges: Float64Array.of(1) });
  expect(() => mergeNumeric(emptyNumeric(GRID), other)).toThrow('cannot merge 2 bins into 5');
});
