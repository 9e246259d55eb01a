import fc from 'fast-check';
import { expect, it } from 'vitest';
import { gridFromReference, type HistogramGrid } from '../../../protocol/sketch/grid.ts';
import {
  addNumeric,
  emptyNumeric,
  type NumericSketch,
} from '../../../protocol/sketch/histogram.ts';
import { wasserstein } from '../../../protocol/statistics/wasserstein.ts';
import { REFERENCE } from './reference.ts';

function sketchOf(values: readonly number[], grid: HistogramGrid): NumericSketch {
  const sketch = emptyNumeric(grid);
  for (const value of values) addNumeric(sketch, grid, value);
  return sketch;
}

/** Σ over bins of share × mean absolute deviation: the bound of the docstring. */
function spreadWithinBins(values: readonly number[], grid: HistogramGrid): number {
  let sum = 0;
  const sketch = sketchOf(values, grid);
  for (const value of values) {
    const bin = sketchOf([value], grid).counts.indexOf(1);
    sum += Math.abs(value - sketch.sums[bin] / sketch.counts[bin]);
  }
  return sum / values.length;
}

it('is exact where each bin holds one value: scipy.stats.wasserstein_distance', () => {
  const { reference, current, distance, sigma } = REFERENCE.wasserstein;
  const edges = Float64Array.from(new Set([...reference, ...current])).sort();
  const grid = { edges };
  const value = wasserstein(sketchOf(reference, grid), sketchOf(current, grid));
  expect(value).toBeCloseTo(distance / sigma, 12);
});

it.each([8, 32, 127])('is within its bound of the raw distance on %i bins', (bins) => {
  const { reference, current, distance, sigma } = REFERENCE.wasserstein;
  const grid = gridFromReference(Float64Array.from(reference), bins);
  const bound = spreadWithinBins(reference, grid) + spreadWithinBins(current, grid);
  const value = wasserstein(sketchOf(reference, grid), sketchOf(current, grid));
  expect(Math.abs(value * sigma - distance)).toBeLessThanOrEqual(bound);
});

it('is at least the difference of the means, 0 for equal sketches, and never NaN', () => {
  const anyValues = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2 });
  fc.assert(
    fc.property(anyValues, anyValues, (a, b) => {
      const grid = gridFromReference(Float64Array.from(a), 8);
      const [reference, current] = [sketchOf(a, grid), sketchOf(b, grid)];
      const value = wasserstein(reference, current);
      const sigma = Math.sqrt(reference.moments.m2 / a.length);
      const gap = Math.abs(current.moments.mean - reference.moments.mean);
      expect(value).toBeLessThan(Infinity);
      if (sigma > 1) expect(value).toBeGreaterThanOrEqual(gap / sigma - 1e-6);
      expect(wasserstein(reference, reference)).toBe(0);
    }),
  );
});

it('moves with a shift of the data by exactly that shift', () => {
  const values = Array.from({ length: 500 }, (_, k) => Math.sin(k));
  const grid = gridFromReference(Float64Array.from(values));
  const reference = sketchOf(values, grid);
  const shifted = sketchOf(
    values.map((x) => x + 0.5),
    grid,
  );
  const sigma = Math.sqrt(reference.moments.m2 / 500);
  expect(wasserstein(reference, shifted) * sigma).toBeCloseTo(0.5, 10);
});

it('measures a stuck sensor that wakes up against a floor for σ', () => {
  const grid = gridFromReference(Float64Array.of(5, 5, 5));
  const stuck = sketchOf([5, 5, 5], grid);
  expect(wasserstein(stuck, sketchOf([5, 5], grid))).toBe(0);
  expect(wasserstein(stuck, sketchOf([5, 6], grid))).toBeCloseTo(0.5 / 5e-9, 3);
  const zero = gridFromReference(Float64Array.of(0));
  expect(wasserstein(sketchOf([0], zero), sketchOf([1], zero))).toBeCloseTo(1e9, 3);
  expect(wasserstein(stuck, emptyNumeric(grid))).toBe(0);
  const tiny = gridFromReference(Float64Array.of(1e-200));
  expect(wasserstein(sketchOf([1e-200], tiny), sketchOf([1e140], tiny))).toBe(Number.MAX_VALUE);
});
