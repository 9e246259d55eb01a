import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { EVALUATOR_GRID } from '../../../protocol/sketch/evaluator.ts';
import { addNumeric, emptyNumeric } from '../../../protocol/sketch/histogram.ts';
import {
  logCalibrationEvidence,
  logMeanEvidence,
  scoreEvidence,
  stakesOf,
} from '../../../protocol/statistics/bounded-e-value.ts';
import { logGamma } from '../../../protocol/statistics/gamma.ts';
import {
  alternativeRates,
  logRateEvidence,
  rateEvidence,
  toleratedRate,
} from '../../../protocol/statistics/rate-e-value.ts';
import { seededUniform } from './seeded.ts';

const rate = fc.double({ min: 1e-6, max: 0.999, noNaN: true });

/** Mean of e^(logE(hits)) over all numbers of hits in n trials; in logarithms, because an e-value may be 1e400. */
function meanOverHits(n: number, p: number, logE: (hits: number) => number): number {
  let mean = 0;
  for (let k = 0; k <= n; k += 1) {
    const ways = logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
    mean += Math.exp(ways + k * Math.log(p) + (n - k) * Math.log1p(-p) + logE(k));
  }
  return mean;
}

describe('evidence that a rate is above the tolerated one', () => {
  it('has mean 1 at the tolerated rate, exactly, and less below it', () => {
    fc.assert(
      fc.property(rate, fc.integer({ min: 1, max: 60 }), (tolerated, trials) => {
        for (const [k] of alternativeRates(tolerated).entries()) {
          const logE = (events: number) => rateEvidence({ events, trials }, tolerated)[k];
          expect(meanOverHits(trials, tolerated, logE)).toBeCloseTo(1, 6);
          expect(meanOverHits(trials, tolerated / 2, logE)).toBeLessThan(1 + 1e-9);
        }
        const shared = (events: number) => logRateEvidence({ events, trials }, tolerated, 0.3);
        expect(meanOverHits(trials, tolerated, shared)).toBeLessThan(1 + 1e-9);
      }),
      { numRuns: 200 },
    );
  });

  it('looks for as many rates whatever is tolerated, each above it and below 1', () => {
    fc.assert(
      fc.property(rate, (tolerated) => {
        const rates = alternativeRates(tolerated);
        expect(rates).toHaveLength(10);
        for (const q of rates) expect(q > tolerated && q < 1).toBe(true);
      }),
    );
  });

  it('is the likelihood ratio by hand', () => {
    const logE = rateEvidence({ events: 3, trials: 10 }, 0.2);
    expect(logE[3]).toBeCloseTo(3 * Math.log(2) + 7 * Math.log(0.6 / 0.8), 12);
    expect(rateEvidence({ events: 0, trials: 0 }, 0.2)).toEqual(new Array(10).fill(0));
  });

  it('finds a sensor that died in one block, against a reference that never missed a value', () => {
    const tolerated = toleratedRate(0, 20_000);
    expect(tolerated).toBeCloseTo(0.000192, 6);
    expect(logRateEvidence({ events: 200, trials: 200 }, tolerated)).toBeGreaterThan(1000);
    expect(logRateEvidence({ events: 0, trials: 1e9 }, tolerated)).toBeLessThan(0);
  });

  it('refuses impossible numbers', () => {
    for (const [events, trials, tolerated, share] of [
      [2, 1, 0.1, 1],
      [0, 1, 0, 1],
      [0, 1, 1, 1],
      [0, 1, 0.1, 0],
      [0, 1, 0.1, 1.1],
      [NaN, 1, 0.1, 1],
    ]) {
      expect(() => rateEvidence({ events, trials }, tolerated, share)).toThrow(SketchError);
    }
    expect(toleratedRate(5, 5)).toBe(0.98);
  });
});

describe('evidence that a mean of scores is above the tolerated one', () => {
  const scores = (values: readonly number[]) => {
    const sketch = emptyNumeric(EVALUATOR_GRID);
    for (const value of values) addNumeric(sketch, EVALUATOR_GRID, value);
    return scoreEvidence(sketch, EVALUATOR_GRID.edges, 0.2);
  };

  it('never says more of a histogram than of its values, and little less', () => {
    const value = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 200 }), (values) => {
        for (const [k, logE] of scores(values).entries()) {
          const stake = stakesOf(0.2)[k];
          const exact = values.reduce((sum, x) => sum + Math.log1p(stake * (x - 0.2)), 0);
          expect(logE).toBeLessThan(exact + 1e-9);
          expect(logE).toBeGreaterThan(exact - 0.03 * values.length - 1e-9);
        }
      }),
    );
  });

  it('is that of a rate where every score is 0 or 1', () => {
    const logE = rateEvidence({ events: 9, trials: 20 }, 0.2);
    // A score of 0 lies in the first bin and is its lower end: nothing is lost.
    const ours = scores([...new Array(9).fill(1), ...new Array(11).fill(0)]);
    for (const [k, value] of ours.entries()) expect(value).toBeCloseTo(logE[k], 9);
  });

  it('from a sum alone is an e-value for the worst distribution, 0 and 1', () => {
    fc.assert(
      fc.property(rate, fc.integer({ min: 1, max: 80 }), (tolerated, rows) => {
        const logE = (sum: number) => logMeanEvidence({ sum, rows }, tolerated);
        expect(meanOverHits(rows, tolerated, logE)).toBeLessThan(1 + 1e-9);
      }),
    );
    expect(logMeanEvidence({ sum: 600, rows: 1000 }, 0.4)).toBeGreaterThan(70);
    expect(logMeanEvidence({ sum: 0, rows: 0 }, 0.4)).toBe(0);
    expect(() => logMeanEvidence({ sum: 2, rows: 1 }, 0.4)).toThrow(SketchError);
  });
});

describe('evidence that scores are no probabilities', () => {
  it('has mean at most 1 where they are', () => {
    const uniform = seededUniform(5);
    for (const rows of [1, 20, 300]) {
      let mean = 0;
      for (let trial = 0; trial < 4000; trial += 1) {
        let residualSum = 0;
        for (let row = 0; row < rows; row += 1) {
          const score = uniform();
          residualSum += Number(uniform() < score) - score;
        }
        mean += Math.exp(logCalibrationEvidence({ residualSum, rows })) / 4000;
      }
      expect(mean, `${rows} rows`).toBeLessThan(1);
    }
  });

  it('grows with rows where they are not, to either side', () => {
    for (const residualSum of [-100, 100]) {
      expect(logCalibrationEvidence({ residualSum, rows: 1000 })).toBeGreaterThan(15);
    }
    expect(logCalibrationEvidence({ residualSum: 0, rows: 0 })).toBe(0);
    expect(() => logCalibrationEvidence({ residualSum: 2, rows: 1 })).toThrow(SketchError);
  });
});
