import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { featurePlot } from '../../../control-plane/reading/feature-plot.ts';
import {
  addCategory,
  categoryIndex,
  emptyCategorical,
} from '../../../protocol/sketch/frequency.ts';
import {
  gridFromReference,
  type HistogramGrid,
  uniformGrid,
} from '../../../protocol/sketch/grid.ts';
import { emptyHashed } from '../../../protocol/sketch/hashed.ts';
import { addNumeric, emptyNumeric } from '../../../protocol/sketch/histogram.ts';

function sketchOf(grid: HistogramGrid, values: Iterable<number>) {
  const sketch = emptyNumeric(grid);
  for (const value of values) addNumeric(sketch, grid, value);
  return sketch;
}

function histogramOf(grid: HistogramGrid, before: Iterable<number>, now: Iterable<number>) {
  const plot = featurePlot(sketchOf(grid, before), sketchOf(grid, now), {
    kind: 'numeric',
    ...grid,
  });
  if (plot?.kind !== 'histogram') throw new Error('no histogram');
  return plot;
}

describe('a numeric plot', () => {
  test('has bins of equal width, and loses no row', () => {
    const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
      minLength: 40,
      maxLength: 300,
    });
    fc.assert(
      fc.property(values, values, (reference, current) => {
        fc.pre(new Set(reference).size > 3);
        const grid = gridFromReference(Float64Array.from(reference));
        const { bins, below, above } = histogramOf(grid, reference, current);
        for (const side of ['reference', 'current'] as const) {
          const all = bins.reduce((sum, bin) => sum + bin[side], below[side] + above[side]);
          expect(all).toBeCloseTo(1, 9);
        }
        const width = bins[0].high - bins[0].low;
        for (const bin of bins) expect(bin.high - bin.low).toBeCloseTo(width, 4);
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  test('scores on even bins are drawn as counted, from 0 to 1', () => {
    const grid = uniformGrid(0, 1, 4);
    const { bins, below, above } = histogramOf(grid, [0.1, 0.3, 0.6, 0.9], [0.05, 0.1, 0.9, 1]);
    expect(bins.map(({ low, high }) => [low, high])).toEqual([
      [0, 0.25],
      [0.25, 0.5],
      [0.5, 0.75],
      [0.75, 1],
    ]);
    expect(bins.map(({ current }) => current)).toEqual([0.5, 0, 0, 0.5]);
    expect([below, above]).toEqual([
      { reference: 0, current: 0 },
      { reference: 0, current: 0 },
    ]);
  });

  test('one far value of the reference does not squeeze all others into a corner', () => {
    const values = [...Array.from({ length: 1000 }, (_, k) => k / 1000), 500];
    const grid = gridFromReference(Float64Array.from(values));
    const { bins, above } = histogramOf(grid, values, values);
    expect(bins[bins.length - 1].high).toBeLessThan(1.01);
    expect(above.reference).toBeGreaterThan(0);
  });

  test('rows outside of what the reference had stand beside the bins', () => {
    const values = Array.from({ length: 1000 }, (_, k) => k / 1000);
    const grid = gridFromReference(Float64Array.from(values));
    const { below, above } = histogramOf(grid, values, [-1, 0.5, 2, 3]);
    expect(below).toEqual({ reference: 0, current: 0.25 });
    expect(above.current).toBe(0.5);
  });
});

test('categories keep their names; what is in none of them is a bar, too', () => {
  const grid = { values: ['a', 'b'] };
  const [before, now] = [emptyCategorical(grid), emptyCategorical(grid)];
  const index = categoryIndex(grid);
  for (const value of ['a', 'a', 'b']) addCategory(before, index, value);
  for (const value of ['a', 'z', null, 'b']) addCategory(now, index, value);
  const plot = featurePlot(before, now, { kind: 'categorical', ...grid });
  expect(plot).toMatchObject({ kind: 'bars' });
  expect(plot?.kind === 'bars' && plot.bars.map(({ label, current }) => [label, current])).toEqual([
    ['a', 0.25],
    ['b', 0.25],
    ['(not in the reference)', 0.25],
    ['(missing)', 0.25],
  ]);
});

test('hashed values have no names to draw', () => {
  expect(featurePlot(emptyHashed(), emptyHashed(), { kind: 'hashed' })).toBeNull();
});
