import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../protocol/sketch/error.ts';
import {
  benjaminiHochberg,
  eBenjaminiHochberg,
} from '../../../protocol/statistics/benjamini-hochberg.ts';
import { twoProportionTest, wilsonInterval } from '../../../protocol/statistics/wilson.ts';
import { REFERENCE, relativeError } from './reference.ts';

describe('Benjamini–Hochberg', () => {
  it('agrees with scipy.stats.false_discovery_control', () => {
    const [pValues, adjusted] = REFERENCE.benjaminiHochberg;
    for (const [k, value] of benjaminiHochberg(pValues).entries()) {
      expect(value).toBeCloseTo(adjusted[k], 14);
    }
    expect(benjaminiHochberg([])).toHaveLength(0);
    for (const p of [-0.1, 1.1, NaN]) expect(() => benjaminiHochberg([p])).toThrow(SketchError);
  });

  it('rejects as many as the step-up procedure does', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (p) => {
        const alpha = 0.1;
        const sorted = [...p].sort((a, b) => a - b);
        const stepUp = 1 + sorted.findLastIndex((x, k) => x * p.length <= alpha * (k + 1));
        const near = sorted.some((x, k) => Math.abs(x * p.length - alpha * (k + 1)) < 1e-12);
        if (near) return;
        expect(benjaminiHochberg(p).filter((x) => x <= alpha)).toHaveLength(stepUp);
      }),
    );
  });

  it('e-BH rejects the k largest with e >= K / (α k)', () => {
    const e = [1, 41, 20, 39, 0.5, Infinity, 0, Infinity];
    const logE = e.map(Math.log);
    // K / α = 80: two infinite, 41 >= 80/3, 39 >= 80/4, 20 >= 80/5, then 1 < 80/6.
    expect(eBenjaminiHochberg(logE, 0.1)).toEqual([5, 7, 1, 3, 2]);
    expect(eBenjaminiHochberg([Math.log(19)], 0.05)).toEqual([]);
    expect(eBenjaminiHochberg([Math.log(20.0001)], 0.05)).toEqual([0]);
    expect(eBenjaminiHochberg([], 0.05)).toEqual([]);
    expect(() => eBenjaminiHochberg([NaN], 0.05)).toThrow(SketchError);
    for (const alpha of [0, 1.1, NaN]) {
      expect(() => eBenjaminiHochberg([0], alpha)).toThrow(SketchError);
    }
  });
});

describe('rates', () => {
  it("Wilson interval agrees with statsmodels' proportion_confint(method='wilson')", () => {
    for (const [successes, trials, low, high] of REFERENCE.wilson) {
      const interval = wilsonInterval(successes, trials);
      expect(interval.low).toBeCloseTo(low, 14);
      expect(interval.high).toBeCloseTo(high, 14);
    }
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
  });

  it("two-proportion z-test agrees with statsmodels' proportions_ztest", () => {
    for (const [a, m, b, n, z, p] of REFERENCE.twoProportions) {
      const test = twoProportionTest({ successes: a, trials: m }, { successes: b, trials: n });
      expect(test.z).toBeCloseTo(z, 12);
      expect(relativeError(test.logP, Math.log(p))).toBeLessThan(1e-11);
      expect(test.difference).toBeCloseTo(b / n - a / m, 14);
    }
  });

  it('has no evidence without trials or when all agree, and refuses impossible counts', () => {
    const none = { successes: 0, trials: 0 };
    const all = { successes: 9, trials: 9 };
    expect(twoProportionTest(none, all)).toEqual({ difference: 0, z: 0, pValue: 1, logP: 0 });
    expect(twoProportionTest(all, all)).toEqual({ difference: 0, z: 0, pValue: 1, logP: 0 });
    for (const [successes, trials] of [
      [2, 1],
      [-1, 1],
      [NaN, 1],
      [0, Infinity],
    ]) {
      expect(() => wilsonInterval(successes, trials)).toThrow(SketchError);
      expect(() => twoProportionTest(all, { successes, trials })).toThrow(SketchError);
    }
  });
});
