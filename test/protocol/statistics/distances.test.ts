import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { jensenShannon } from '../../../protocol/statistics/jensen-shannon.ts';
import { kolmogorovSmirnov } from '../../../protocol/statistics/kolmogorov-smirnov.ts';
import { lInfinity } from '../../../protocol/statistics/l-infinity.ts';
import { debiasedPsi, psi } from '../../../protocol/statistics/psi.ts';
import { REFERENCE, relativeError } from './reference.ts';
import { drawCounts, equalShares, seededUniform } from './seeded.ts';

const DISTANCES = {
  psi,
  jensenShannon,
  lInfinity,
  ks: (r: Float64Array, c: Float64Array) => kolmogorovSmirnov(r, c).statistic,
} as const;

const anyCounts = fc
  .array(fc.nat(2000), { minLength: 1, maxLength: 12 })
  .map((counts) => Float64Array.from(counts));

describe.each(Object.entries(DISTANCES))('%s', (name, distance) => {
  it('agrees with SciPy', () => {
    for (const pair of REFERENCE.pairs) {
      const value = distance(Float64Array.from(pair.reference), Float64Array.from(pair.current));
      const expected = pair[name as keyof typeof DISTANCES];
      expect(relativeError(value, expected)).toBeLessThan(1e-11);
    }
  });

  it('is 0 for equal counts and without rows, and finite and symmetric otherwise', () => {
    fc.assert(
      fc.property(anyCounts, anyCounts, (a, longer) => {
        const b = Float64Array.from(a, (_, k) => longer[k] ?? 0);
        expect(distance(a, a)).toBe(0);
        expect(distance(a, new Float64Array(a.length))).toBe(0);
        expect(distance(a, b)).toBeGreaterThanOrEqual(0);
        expect(distance(a, b)).toBeLessThan(Infinity);
        expect(distance(a, b)).toBeCloseTo(distance(b, a), 12);
      }),
    );
  });

  it('does not change with cells that are empty on both sides', () => {
    const value = distance(Float64Array.of(50, 950), Float64Array.of(9, 91));
    expect(distance(Float64Array.of(50, 0, 950, 0), Float64Array.of(9, 0, 91, 0))).toBe(value);
  });

  it('refuses different numbers of cells', () => {
    expect(() => distance(new Float64Array(3), new Float64Array(2))).toThrow(SketchError);
  });
});

it('jensenShannon, lInfinity and ks of disjoint counts are 1', () => {
  const [a, b] = [Float64Array.of(5, 0), Float64Array.of(0, 9)];
  expect([jensenShannon(a, b), lInfinity(a, b), DISTANCES.ks(a, b)]).toEqual([1, 1, 1]);
});

it('debiased PSI takes off what chance alone shows', () => {
  const uniform = seededUniform(11);
  const [bins, m, n, trials] = [16, 4000, 400, 400];
  let mean = 0;
  for (let trial = 0; trial < trials; trial += 1) {
    const reference = drawCounts(uniform, m, equalShares(bins));
    mean += psi(reference, drawCounts(uniform, n, equalShares(bins))) / trials;
  }
  const bias = (bins - 1) * (1 / n + 1 / m);
  expect(mean / bias).toBeGreaterThan(0.95);
  expect(mean / bias).toBeLessThan(1.08);
  const [pair] = REFERENCE.pairs;
  const [reference, current] = [pair.reference, pair.current].map((x) => Float64Array.from(x));
  expect(debiasedPsi(reference, current)).toBe(0);
  const [far, near] = [Float64Array.of(300, 200, 100), Float64Array.of(100, 200, 300)];
  expect(debiasedPsi(near, far)).toBeCloseTo(psi(near, far) - 2 / 300, 14);
});
