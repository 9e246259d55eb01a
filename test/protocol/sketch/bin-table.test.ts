import fc from 'fast-check';
import { expect, it } from 'vitest';
import { binIn, binTable, CELLS } from '../../../protocol/sketch/bin-table.ts';
import {
  binOf,
  gridFromReference,
  type HistogramGrid,
  MAX_BINS,
  uniformGrid,
} from '../../../protocol/sketch/grid.ts';
import { anyNumber } from './windows.ts';

const MAX = 2 ** 480;
const finite = anyNumber.filter((x) => Math.abs(x) <= MAX);

function expectSameBins(grid: HistogramGrid, values: Iterable<number>): void {
  const table = binTable(grid);
  for (const x of values) {
    if (Math.abs(x) > MAX) continue;
    expect([x, binIn(table, x)]).toEqual([x, binOf(grid, x)]);
  }
}

/** Each edge and its neighbours, in float64 and in float32. */
function* aroundEdges({ edges }: HistogramGrid): Iterable<number> {
  for (const edge of edges) {
    for (const step of [0, 2 ** -53, -(2 ** -53), 2 ** -24, -(2 ** -24)]) yield edge * (1 + step);
    yield edge - Number.MIN_VALUE;
    yield edge + Number.MIN_VALUE;
    yield Math.fround(edge);
  }
}

it('finds the bin that a binary search finds: any edges, any values', () => {
  const edges = fc
    .uniqueArray(finite, { maxLength: MAX_BINS - 1 })
    .map((values) => Float64Array.from(new Set(values.map((x) => x + 0))).sort());
  fc.assert(
    fc.property(edges, fc.array(finite), (cut, values) => {
      expectSameBins({ edges: cut }, [...values, ...aroundEdges({ edges: cut }), 0, -0, MAX, -MAX]);
    }),
    { numRuns: 500 },
  );
});

it('finds the bin that a binary search finds: grids of references with atoms', () => {
  const reference = fc.array(finite, { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(reference, fc.integer({ min: 2, max: 127 }), (values, bins) => {
      const grid = gridFromReference(Float64Array.from(values), bins);
      expectSameBins(grid, [...values, ...aroundEdges(grid)]);
    }),
  );
});

it.each<[string, HistogramGrid, (k: number) => number]>([
  ['no edges', { edges: new Float64Array(0) }, (k) => k - 50],
  ['uniform bins', uniformGrid(0, 1, 64), (k) => k / 640 - 0.05],
  [
    'timestamps',
    { edges: Float64Array.from({ length: 31 }, (_, k) => 1.7e9 + k) },
    (k) => 1.7e9 + k / 20,
  ],
  ['subnormal edges', { edges: Float64Array.of(5e-324, 1e-323, 2e-323) }, (k) => k * 5e-324],
  ['edges at both ends', { edges: Float64Array.of(-MAX, MAX) }, (k) => (k - 500) * 2 ** 471],
])('finds the bin that a binary search finds: %s', (_, grid, at) => {
  expectSameBins(grid, [
    ...Array.from({ length: 1000 }, (_value, k) => at(k)),
    ...aroundEdges(grid),
  ]);
});

it('rises from cell to cell, and leaves few edges to be compared with', () => {
  const reference = Float64Array.from({ length: 20_000 }, (_, k) =>
    Math.tan((k / 20_000 - 0.5) * 3),
  );
  const grid = gridFromReference(reference, 32);
  const table = binTable(grid);
  expect(table.below).toHaveLength(CELLS);
  let compared = 0;
  for (const x of reference) {
    const before = binIn({ ...table, edges: new Float64Array(40).fill(Infinity) }, x);
    expect(before).toBeLessThanOrEqual(binOf(grid, x));
    compared += binOf(grid, x) - before;
  }
  expect(compared / reference.length).toBeLessThan(0.2);
});
