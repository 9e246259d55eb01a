import { describe, expect, it } from 'vitest';
import { type Counted, compareAcross } from '../../../control-plane/decide/compare-inputs.ts';
import { uniformGrid } from '../../../protocol/sketch/grid.ts';
import { addNumeric, emptyNumeric } from '../../../protocol/sketch/histogram.ts';
import { seeded } from '../../support/synthetic-windows.ts';

function numeric(seed: number, bins: number, shift: number): Counted {
  const random = seeded(seed);
  const grid = { kind: 'numeric' as const, ...uniformGrid(0, 2, bins) };
  const sketch = emptyNumeric(grid);
  for (let row = 0; row < 500; row += 1) addNumeric(sketch, grid, random() + shift);
  return { grid, sketch };
}

function categories(values: readonly string[], counts: readonly number[]): Counted {
  return {
    grid: { kind: 'categorical', values },
    sketch: { kind: 'categorical', missing: 0, unseen: 0, counts: Float64Array.from(counts) },
  };
}

describe('comparing columns across versions', () => {
  it('uses cells where they are the same and moments where they are not', () => {
    const same = compareAcross(numeric(1, 8, 0), numeric(2, 8, 0.5));
    expect(same?.psi).toBeGreaterThan(0.25);
    const equal = compareAcross(numeric(1, 8, 0), numeric(2, 16, 0));
    expect(equal?.psi).toBeNull();
    expect(equal?.meanShift).toBeLessThan(0.2);
    const moved = compareAcross(numeric(1, 8, 0), numeric(2, 16, 0.5));
    expect(moved?.meanShift).toBeGreaterThan(1);
    expect(moved?.logP).toBeLessThan(Math.log(1e-6));
  });

  it('aligns categories by value, not by place', () => {
    const before = categories(['a', 'b', 'c'], [500, 300, 200]);
    const reordered = compareAcross(before, categories(['c', 'b', 'a'], [200, 300, 500]));
    expect(reordered?.psi).toBe(0);
    const swapped = compareAcross(before, categories(['c', 'b', 'a'], [500, 300, 200]));
    expect(swapped?.psi).toBeGreaterThan(0.25);
  });

  it('refuses to compare a number with a category', () => {
    expect(compareAcross(numeric(1, 8, 0), categories(['a'], [1]))).toBeNull();
  });
});
