import fc from 'fast-check';
import { expect, it } from 'vitest';
import { categoryPlot, numericPlot, plotOf } from '../../../control-plane/report/plot.ts';
import {
  addCategory,
  categoryIndex,
  emptyCategorical,
} from '../../../protocol/sketch/frequency.ts';
import { binOf, gridFromReference } from '../../../protocol/sketch/grid.ts';
import { emptyHashed } from '../../../protocol/sketch/hashed.ts';

function countsOf(grid: { edges: Float64Array }, values: ArrayLike<number>): Float64Array {
  const counts = new Float64Array(grid.edges.length + 1);
  for (let at = 0; at < values.length; at += 1) counts[binOf(grid, values[at])] += 1;
  return counts;
}

it('draws all rows of both sides, in bins that follow one another, whatever the values', () => {
  const values = fc.array(
    fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ min: -1e9, max: 1e9, noNaN: true })),
    {
      minLength: 1,
      maxLength: 300,
    },
  );
  fc.assert(
    fc.property(values, values, (reference, current) => {
      const grid = gridFromReference(Float64Array.from(reference));
      const plot = numericPlot(grid, countsOf(grid, reference), countsOf(grid, current));
      if (plot.kind !== 'histogram') throw new Error(plot.kind);
      for (const side of ['reference', 'current'] as const) {
        const shares = [...plot.bins, plot.below, plot.above].map((one) => one[side]);
        expect(shares.every((share) => share >= 0 && share <= 1 + 1e-9)).toBe(true);
        expect(shares.reduce((sum, share) => sum + share)).toBeCloseTo(1, 9);
      }
      for (const [k, { low, high }] of plot.bins.entries()) {
        expect(high).toBeGreaterThan(low);
        if (k > 0) expect(low).toBeCloseTo(plot.bins[k - 1].high, 6);
      }
    }),
  );
});

it('draws an even spread evenly and leaves a value that has its own bin where it is', () => {
  const values = Float64Array.from({ length: 10_000 }, (_, k) => (k % 2 ? 37.5 : k / 100));
  const grid = gridFromReference(values);
  const plot = numericPlot(grid, countsOf(grid, values), new Float64Array(grid.edges.length + 1));
  if (plot.kind !== 'histogram') throw new Error(plot.kind);
  const [peak, ...others] = plot.bins.map(({ reference }) => reference).sort((a, b) => b - a);
  expect(peak).toBeGreaterThan(0.5);
  const at = plot.bins.find(({ reference }) => reference === peak);
  expect(at && at.low <= 37.5 && 37.5 < at.high).toBe(true);
  for (const share of others) expect(share).toBeCloseTo(0.5 / 26, 2);
  expect(plot.bins.every(({ current }) => current === 0)).toBe(true);
});

it('draws the first categories, the others together, and what the reference did not know', () => {
  const grid = { values: Array.from({ length: 20 }, (_, k) => `v${k}`) };
  const index = categoryIndex(grid);
  const [reference, current] = [emptyCategorical(grid), emptyCategorical(grid)];
  for (let row = 0; row < 100; row += 1) {
    addCategory(reference, index, `v${row % 20}`);
    addCategory(current, index, row % 10 === 0 ? null : `v${row % 25}`);
  }
  const plot = categoryPlot(grid, reference, current);
  if (plot.kind !== 'bars') throw new Error(plot.kind);
  expect(plot.bars).toHaveLength(12 + 3);
  expect(plot.bars[0]).toEqual({ label: 'v0', reference: 0.05, current: 0.02 });
  expect(plot.bars.slice(12).map(({ label }) => label)).toEqual([
    '8 others',
    'not in the reference',
    'missing',
  ]);
  for (const side of ['reference', 'current'] as const) {
    expect(plot.bars.reduce((sum, bar) => sum + bar[side], 0)).toBeCloseTo(1, 9);
  }
  expect(plotOf({ kind: 'hashed' }, emptyHashed(), emptyHashed())).toBeNull();
});
