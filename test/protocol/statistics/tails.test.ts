import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { equalSamplesLogP } from '../../../protocol/statistics/ks-exact.ts';
import { logAddExp, logMeanExp } from '../../../protocol/statistics/log-sum.ts';
import { normalLogSurvival, normalQuantile } from '../../../protocol/statistics/normal.ts';
import { REFERENCE, relativeError } from './reference.ts';

describe('the normal distribution', () => {
  it("has scipy's quantiles, from 1e-300 on", () => {
    for (const [p, z] of REFERENCE.normalQuantile) {
      expect(relativeError(normalQuantile(p), z), `${p}`).toBeLessThan(1e-10);
      if (p > 1e-10) expect(normalQuantile(1 - p)).toBeCloseTo(-z, 9);
    }
    for (const p of [0, 1, -1, NaN]) expect(() => normalQuantile(p)).toThrow(SketchError);
  });

  it("has scipy's tails in logarithms", () => {
    for (const [z, logP] of REFERENCE.normalLogSurvival) {
      expect(relativeError(normalLogSurvival(z), logP), `${z}`).toBeLessThan(1e-10);
    }
  });
});

it("two samples of one size: scipy's exact Kolmogorov–Smirnov test", () => {
  for (const [n, steps, logP] of REFERENCE.equalSamplesLogP) {
    expect(equalSamplesLogP(n, steps), `${n}, ${steps}`).toBeCloseTo(logP, 9);
  }
  expect(equalSamplesLogP(30, 0)).toBe(0);
});

it('sums in logarithms neither overflow nor lose what is small', () => {
  expect(logAddExp(1000, 1000)).toBeCloseTo(1000 + Math.LN2, 12);
  expect(logAddExp(-Infinity, -Infinity)).toBe(-Infinity);
  expect(logAddExp(Infinity, -Infinity)).toBe(Infinity);
  expect(logAddExp(Infinity, Infinity)).toBe(Infinity);
  expect(logMeanExp([800, -Infinity, 800, 800])).toBeCloseTo(800 + Math.log(0.75), 12);
  expect(logMeanExp([])).toBe(-Infinity);
  expect(logMeanExp([0, Infinity])).toBe(Infinity);
});
