import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric, emptyNumeric } from '../../../protocol/sketch/histogram.ts';
import { compareFeature } from '../../../protocol/statistics/drift.ts';
import { driftIntervals } from '../../../protocol/statistics/drift-interval.ts';
import { seededUniform } from './seeded.ts';

const NAMES = ['psi', 'ks', 'wasserstein', 'jensenShannon', 'lInfinity'] as const;

/** Standard normal values (Box and Muller). */
function normals(uniform: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

const GRID = gridFromReference(
  Float64Array.from({ length: 3000 }, (_, k) => {
    const z = (k + 0.5) / 3000;
    return Math.log(z / (1 - z)) / 1.7;
  }),
  16,
);
const FEATURE = { kind: 'numeric', ...GRID } as const;

function sketch(rows: number, value: () => number) {
  const counted = emptyNumeric(GRID);
  for (let row = 0; row < rows; row += 1) addNumeric(counted, GRID, value());
  return counted;
}

/** Share of trials whose interval holds the distance of two samples too large to err. */
function coverage(
  shift: number,
  spread: number,
  [m, n]: readonly [number, number],
  trials: number,
) {
  const normal = normals(seededUniform(1000 + 10 * shift + spread));
  const moved = () => shift + spread * normal();
  const truth = compareFeature(sketch(300_000, normal), sketch(300_000, moved), FEATURE);
  const exact = { ...truth, psi: truth.psiDebiased };
  const hits = { psi: 0, ks: 0, wasserstein: 0, jensenShannon: 0, lInfinity: 0 };
  for (let trial = 0; trial < trials; trial += 1) {
    const intervals = driftIntervals(sketch(m, normal), sketch(n, moved), FEATURE);
    for (const name of NAMES) {
      const { low, high } = intervals[name] ?? { low: 1, high: 0 };
      // What 600,000 rows and the bins leave open of the truth itself.
      const slack = name === 'wasserstein' ? 0.01 : 0.004;
      if (low <= (exact[name] ?? -1) + slack && high >= (exact[name] ?? -1) - slack)
        hits[name] += 1;
    }
  }
  return NAMES.map((name) => hits[name] / trials);
}

describe('intervals of the distances', () => {
  it.each([
    [0, 1, [2000, 500]],
    [0.3, 1, [2000, 500]],
    [0.3, 1, [400, 400]],
    [0, 1.5, [5000, 300]],
    [0.6, 0.9, [2000, 300]],
  ] as const)(
    'hold the truth in 93 of 100 trials or more: shift %d, spread %d, rows %j',
    (shift, spread, rows) => {
      for (const [at, share] of coverage(shift, spread, rows, 300).entries()) {
        expect(share, NAMES[at]).toBeGreaterThan(0.93);
      }
    },
  );

  it('shrink with rows until they tell no drift from some', () => {
    const normal = normals(seededUniform(4));
    const reference = sketch(50_000, normal);
    const widths = [200, 2000, 20_000].map((rows) => {
      const { psi, wasserstein } = driftIntervals(reference, sketch(rows, normal), FEATURE);
      return [psi, wasserstein].map((interval) => (interval ? interval.high - interval.low : NaN));
    });
    expect(widths[0][0]).toBeGreaterThan(3 * widths[2][0]);
    expect(widths[0][1]).toBeGreaterThan(3 * widths[2][1]);
    const drifted = driftIntervals(
      reference,
      sketch(2000, () => normal() + 0.5),
      FEATURE,
    );
    for (const name of NAMES) expect(drifted[name]?.low, name).toBeGreaterThan(0.05);
  });

  it('are numbers within their range for any counts, and null without rows', () => {
    const row = fc.double({ noNaN: true, min: -1e144, max: 1e144 });
    fc.assert(
      fc.property(fc.array(row), fc.array(row), (before, now) => {
        const [reference, current] = [before, now].map((values) => {
          const counted = emptyNumeric(GRID);
          for (const value of values) addNumeric(counted, GRID, value);
          return counted;
        });
        const intervals = driftIntervals(reference, current, FEATURE);
        for (const name of NAMES) {
          const interval = intervals[name];
          if (interval === null) continue;
          const { low, high } = interval;
          expect(low >= 0 && low <= high && Number.isFinite(high), `${name} ${low} ${high}`).toBe(
            true,
          );
          if (name !== 'psi' && name !== 'wasserstein') expect(high).toBeLessThanOrEqual(1);
        }
        expect(intervals.ks === null).toBe(before.length === 0 || now.length === 0);
      }),
    );
    const none = driftIntervals(
      emptyNumeric(GRID),
      sketch(10, () => 0),
      FEATURE,
    );
    expect(Object.values(none)).toEqual([null, null, null, null, null]);
  });

  it('of categories have no order to speak of', () => {
    const grid = { kind: 'categorical', values: ['a', 'b'] } as const;
    const counted = (...counts: number[]) => ({
      ...{ kind: 'categorical' as const, missing: 0, unseen: 0 },
      counts: Float64Array.from(counts),
    });
    const intervals = driftIntervals(counted(500, 500), counted(180, 20), grid);
    expect([intervals.ks, intervals.wasserstein]).toEqual([null, null]);
    expect(intervals.lInfinity?.low).toBeGreaterThan(0.3);
    expect(intervals.lInfinity?.high).toBeLessThan(0.5);
  });
});
