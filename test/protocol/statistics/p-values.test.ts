import { describe, expect, it } from 'vitest';
import { chiSquare, chiSquareLogSurvival } from '../../../protocol/statistics/chi-square.ts';
import { logGamma } from '../../../protocol/statistics/gamma.ts';
import {
  kolmogorovLogSurvival,
  kolmogorovSmirnov,
} from '../../../protocol/statistics/kolmogorov-smirnov.ts';
import { REFERENCE, relativeError } from './reference.ts';
import { drawCounts, equalShares, seededUniform } from './seeded.ts';

describe('chi-square', () => {
  it('agrees with scipy.stats.chi2_contingency(correction=False)', () => {
    for (const pair of REFERENCE.pairs) {
      const { statistic, df, logP, pValue } = chiSquare(
        Float64Array.from(pair.reference),
        Float64Array.from(pair.current),
      );
      expect(df).toBe(pair.df);
      expect(relativeError(statistic, pair.chiSquare)).toBeLessThan(1e-12);
      expect(relativeError(logP, pair.logP)).toBeLessThan(1e-11);
      expect(pValue).toBe(Math.exp(logP));
    }
  });

  it('has the right tail where a float64 underflows', () => {
    for (const [x, df, logP] of REFERENCE.chiSquareLogSurvival) {
      expect(relativeError(chiSquareLogSurvival(x, df), logP), `${x} ${df}`).toBeLessThan(1e-11);
    }
    for (const [x, value] of REFERENCE.logGamma) {
      expect(Math.abs(logGamma(x) - value)).toBeLessThan(1e-13 * Math.max(1, value));
    }
    expect(chiSquareLogSurvival(0, 4)).toBe(0);
  });

  it('pools neighbours until each expects 5, and has no evidence in a single cell', () => {
    // The smaller row has 1 % of all, so a cell needs 500 in both rows together.
    const reference = Float64Array.of(250, 250, 600, 4400, 4390, 10);
    const current = Float64Array.of(9, 1, 10, 40, 30, 10);
    const pooled = chiSquare(
      Float64Array.of(500, 600, 4400, 4400),
      Float64Array.of(10, 10, 40, 40),
    );
    expect(chiSquare(reference, current)).toEqual(pooled);
    expect(pooled.df).toBe(3);
    const nothing = { statistic: 0, df: 0, pValue: 1, logP: 0 };
    expect(chiSquare(Float64Array.of(4, 5), Float64Array.of(5, 4))).toEqual(nothing);
    expect(chiSquare(Float64Array.of(900, 900), new Float64Array(2))).toEqual(nothing);
    expect(chiSquare(new Float64Array(0), new Float64Array(0))).toEqual(nothing);
  });

  it.each([
    [32, 20_000, 2000],
    [10, 2000, 300],
    [20, 500, 500],
  ])('with %i cells, %i and %i rows, alarms in one of 100 windows without drift', (cells, m, n) => {
    const uniform = seededUniform(cells);
    const shares = equalShares(cells);
    const trials = 4000;
    // Drawing each reference anew would take most of the time; a sum of chunks is a draw too.
    const chunks = Array.from({ length: 200 }, () => drawCounts(uniform, m / 20, shares));
    let alarms = 0;
    for (let trial = 0; trial < trials; trial += 1) {
      const reference = new Float64Array(cells);
      for (let part = 0; part < 20; part += 1) {
        const chunk = chunks[Math.floor(uniform() * chunks.length)];
        for (let k = 0; k < cells; k += 1) reference[k] += chunk[k];
      }
      if (chiSquare(reference, drawCounts(uniform, n, shares)).pValue < 0.01) alarms += 1;
    }
    expect(alarms / trials).toBeGreaterThan(0.005);
    expect(alarms / trials).toBeLessThan(0.015);
  });
});

describe('Kolmogorov–Smirnov', () => {
  it('agrees with scipy.stats.kstwobign.sf', () => {
    for (const [t, logP] of REFERENCE.kolmogorovLogSurvival) {
      expect(relativeError(kolmogorovLogSurvival(t), logP), `${t}`).toBeLessThan(1e-10);
    }
    for (const { reference, current, ksP } of REFERENCE.pairs.slice(0, 4)) {
      const { pValue } = kolmogorovSmirnov(
        Float64Array.from(reference),
        Float64Array.from(current),
      );
      expect(relativeError(pValue, ksP)).toBeLessThan(1e-10);
    }
  });

  it('stays exact where a float64 underflows, and is 1 at 0', () => {
    expect(kolmogorovLogSurvival(100)).toBeCloseTo(Math.LN2 - 20_000, 8);
    expect(kolmogorovLogSurvival(0)).toBe(0);
    expect(kolmogorovLogSurvival(1e-3)).toBeCloseTo(0, 15);
  });
});
