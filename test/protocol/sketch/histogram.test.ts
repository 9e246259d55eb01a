import fc from 'fast-check';
import { expect, it } from 'vitest';
import { binTable } from '../../../protocol/sketch/bin-table.ts';
import {
  addNumeric,
  addNumericBlock,
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

it('counts a block exactly as value by value, but for the rounding of mean and m2', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anyNumber)), (blocks) => {
      const together = emptyNumeric(GRID);
      const apart = emptyNumeric(GRID);
      for (const block of blocks) {
        const values = Float64Array.of(7, ...block, 7);
        addNumericBlock(together, binTable(GRID), values, 1, values.length - 1);
        for (const value of block) addNumeric(apart, GRID, value);
      }
      const { mean, m2, ...range } = together.moments;
      expect({ ...together, moments: { ...range, mean: 0, m2: 0 } }).toEqual({
        ...apart,
        moments: { ...apart.moments, mean: 0, m2: 0 },
      });
      const { count, min, max } = range;
      if (count === 0) return;
      const scale = Math.max(-min, max, 1e-150);
      expect(Math.abs(mean - apart.moments.mean) / scale).toBeLessThan(1e-13 * count);
      expect(Math.abs(m2 - apart.moments.m2) / scale / scale).toBeLessThan(1e-12 * count);
    }),
  );
});

it('keeps the variance of values far from 0, beside an outlier in front', () => {
  const sketch = emptyNumeric(GRID);
  const values = Float64Array.from({ length: 1000 }, (_, k) => 1.7e9 + Math.sin(k));
  addNumericBlock(sketch, binTable(GRID), values, 0, values.length);
  const [centred, plain] = [emptyNumeric(GRID), values.map((x) => x - 1.7e9)];
  for (const x of plain) addNumeric(centred, GRID, x);
  expect(sketch.moments.m2).toBeCloseTo(centred.moments.m2, 4);
  const outlier = emptyNumeric(GRID);
  addNumericBlock(outlier, binTable(GRID), Float64Array.of(1e12, ...plain), 0, 1001);
  const mean = (1e12 + plain.reduce((a, b) => a + b, 0)) / 1001;
  expect(outlier.moments.mean / mean).toBeCloseTo(1, 12);
  expect(outlier.moments.m2 / (1e24 * (1000 / 1001))).toBeCloseTo(1, 9);
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
