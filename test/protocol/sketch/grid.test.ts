import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { binOf, gridFromReference, MAX_BINS, uniformGrid } from '../../../protocol/sketch/grid.ts';
import { anyNumber } from './windows.ts';

function countsOf(values: readonly number[], bins: number): number[] {
  const grid = gridFromReference(Float64Array.from(values), bins);
  const counts = new Array<number>(grid.edges.length + 1).fill(0);
  for (const value of values) counts[binOf(grid, value)] += 1;
  return counts;
}

describe('gridFromReference', () => {
  it('cuts a continuous reference into equal shares', () => {
    const counts = countsOf(
      Array.from({ length: 1000 }, (_, k) => (k * 7919) % 1000),
      32,
    );
    expect(counts).toHaveLength(34);
    expect([counts.shift(), counts.pop()]).toEqual([0, 0]);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(31);
    expect(Math.max(...counts)).toBeLessThanOrEqual(32);
  });

  it('gives an atom a bin of its own', () => {
    const grid = gridFromReference(Float64Array.of(0, 0, 0, 1, 2, 3, 4, 5), 4);
    const zero = binOf(grid, 0);
    expect(binOf(grid, -0)).toBe(zero);
    expect(binOf(grid, Number.MIN_VALUE)).toBe(zero + 1);
    expect(binOf(grid, -Number.MIN_VALUE)).toBe(zero - 1);
  });

  it('gives a constant reference three bins: below, the value, above', () => {
    expect(countsOf([7, 7, 7], 32)).toEqual([0, 3, 0]);
    expect(countsOf([-7, -7, -7], 32)).toEqual([0, 3, 0]);
  });

  it('has outer bins for what is out of the range of the reference, and only that', () => {
    const grid = gridFromReference(Float64Array.of(1.5, 2, 3, 4), 4);
    const bins = [1.5 - 2 ** -52, 1.5, 4, 4 + 2 ** -50].map((x) => binOf(grid, x));
    expect(bins).toEqual([0, 1, 4, 5]);
    expect(grid.edges).toHaveLength(5);
  });

  it('has increasing edges, few bins and no bin heavier than about 1/bins but atoms', () => {
    fc.assert(
      fc.property(
        fc.array(anyNumber, { minLength: 1 }),
        fc.integer({ min: 2, max: 64 }),
        (x, bins) => {
          const finite = x.filter((value) => Math.abs(value) <= 2 ** 480);
          fc.pre(finite.length > 0);
          const { edges } = gridFromReference(Float64Array.from(x), bins);
          expect(edges.every((edge, k) => k === 0 || edges[k - 1] < edge)).toBe(true);
          expect(edges.length + 1).toBeLessThanOrEqual(2 * bins + 1);
          for (let bin = 0; bin <= edges.length; bin += 1) {
            const values = finite.filter((value) => binOf({ edges }, value) === bin);
            if (new Set(values).size < 2) continue;
            expect(values.length).toBeLessThanOrEqual((2 * finite.length) / bins);
          }
        },
      ),
    );
  });

  it('refuses a reference without finite values, and bins outside 2 to 127', () => {
    expect(() => gridFromReference(Float64Array.of(NaN, Infinity))).toThrow(SketchError);
    for (const bins of [1, 2.5, NaN, MAX_BINS / 2]) {
      expect(() => gridFromReference(Float64Array.of(1), bins)).toThrow('from 2 to 127');
    }
    expect(gridFromReference(Float64Array.of(1), MAX_BINS / 2 - 1).edges).toHaveLength(2);
  });
});

describe('uniformGrid', () => {
  it('has exactly as many bins, closed on the left', () => {
    const grid = uniformGrid(0, 1, 64);
    expect(grid.edges).toHaveLength(63);
    expect([-1, 0, 1 / 64, 0.999, 1, 2].map((x) => binOf(grid, x))).toEqual([0, 0, 1, 63, 63, 63]);
    expect(uniformGrid(0, 1, 1).edges).toHaveLength(0);
    expect(uniformGrid(0, 1, MAX_BINS).edges).toHaveLength(MAX_BINS - 1);
  });

  it('refuses what it cannot cut', () => {
    const impossible = [
      [1, 0, 4],
      [0, 0, 1],
      [NaN, 1, 4],
      [0, Infinity, 4],
      [1, 1 + 1e-16, 4],
    ];
    for (const [low, high, bins] of [...impossible, [0, 1, 0], [0, 1, MAX_BINS + 1]]) {
      expect(() => uniformGrid(low, high, bins)).toThrow(SketchError);
    }
    expect(() => uniformGrid(1, 1 + 2 ** -52, 4)).toThrow(SketchError);
  });
});
