import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fairnessMetrics,
  type GroupOutcome,
  selected,
  signedMetrics,
  truePositives,
} from '../../../protocol/statistics/fairness-metrics.ts';
import { manskiBounds } from '../../../protocol/statistics/manski.ts';
import { newcombe, rateOf, shrunkRate } from '../../../protocol/statistics/trials.ts';
import { REFERENCE } from './reference.ts';
import { seededUniform } from './seeded.ts';

const count = fc.nat({ max: 500 });
const group = fc
  .tuple(count, count, count, count, count)
  .map(([tp, fp, fn, tn, open]): GroupOutcome => {
    const rows = tp + fp + fn + tn + open;
    return { rows, positive: tp + fp, tp, fp, fn, tn, residualSum: fn / 2 - fp / 2 };
  });

/** ProPublica's COMPAS data as filtered by them: group, rows, TPR, FPR, selection rate (`research/monitoring.md` 5). */
const COMPAS = {
  africanAmerican: { rows: 3175, positive: 1829, tp: 1188, fp: 641, fn: 473, tn: 873 },
  caucasian: { rows: 2103, positive: 696, tp: 414, fp: 282, fn: 408, tn: 999 },
  hispanic: { rows: 509, positive: 141, tp: 79, fp: 62, fn: 110, tn: 258 },
  other: { rows: 343, positive: 70, tp: 42, fp: 28, fn: 82, tn: 191 },
};
const compas = Object.values(COMPAS).map((cell) => ({ ...cell, residualSum: 0 }));

describe('fairness metrics', () => {
  it('of COMPAS are those of the golden values, to four decimals', () => {
    const metrics = fairnessMetrics(compas);
    expect(metrics.demographicParityDifference).toBeCloseTo(0.372, 4);
    expect(metrics.demographicParityRatio).toBeCloseTo(0.3543, 4);
    expect(metrics.equalOpportunityDifference).toBeCloseTo(0.3765, 4);
    expect(metrics.equalizedOddsDifference).toBeCloseTo(0.3765, 4);
    const [black, white] = compas;
    const { averageOddsDifference, equalOpportunityDifference } = signedMetrics(black, white);
    expect(equalOpportunityDifference).toBeCloseTo(0.2116, 4);
    expect(averageOddsDifference).toBeCloseTo((0.2116 + 0.2032) / 2, 4);
    const interval = newcombe(truePositives(black), truePositives(white));
    expect(interval.low).toBeCloseTo(0.1709, 4);
    expect(interval.high).toBeCloseTo(0.2517, 4);
  });

  it('are within their range for any counts, alike in any order, and 0 for equal groups', () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 6 }), (groups) => {
        const metrics = fairnessMetrics(groups);
        for (const value of Object.values(metrics)) {
          expect(value === null || (value >= 0 && value <= 1)).toBe(true);
        }
        expect(fairnessMetrics(groups.toReversed())).toEqual(metrics);
        const twice = fairnessMetrics(groups.slice(0, 1).flatMap((one) => [one, one]));
        expect(twice.demographicParityDifference ?? 0).toBe(0);
        expect(twice.demographicParityRatio ?? 1).toBe(1);
      }),
    );
  });

  it('signed are negated, or inverted, when the two groups change places', () => {
    fc.assert(
      fc.property(group, group, (a, b) => {
        const [one, other] = [signedMetrics(a, b), signedMetrics(b, a)];
        const opposite = (x: number | null, y: number | null) =>
          expect((x ?? 0) + (y ?? 0)).toBeCloseTo(0, 12);
        opposite(one.statisticalParityDifference, other.statisticalParityDifference);
        opposite(one.averageOddsDifference, other.averageOddsDifference);
        expect(one.averageOddsError).toBe(other.averageOddsError);
        if (one.disparateImpact && other.disparateImpact) {
          expect(one.disparateImpact * other.disparateImpact).toBeCloseTo(1, 9);
        }
      }),
    );
  });

  it('leave out groups that have no trials of a rate, and are null where fewer than two have', () => {
    const bare = { rows: 10, positive: 5, tp: 0, fp: 0, fn: 0, tn: 0, residualSum: 0 };
    const [black, white] = compas;
    expect(fairnessMetrics([black, bare])).toMatchObject({
      equalOpportunityDifference: null,
      equalizedOddsDifference: null,
      calibrationDifference: null,
    });
    expect(fairnessMetrics([black, white, bare]).equalizedOddsDifference).toBe(
      fairnessMetrics([black, white]).equalizedOddsDifference,
    );
    expect(fairnessMetrics([]).demographicParityDifference).toBeNull();
    const refused = { ...bare, positive: 0 };
    expect(fairnessMetrics([refused, refused]).demographicParityRatio).toBe(1);
    expect(signedMetrics(bare, refused).disparateImpact).toBeNull();
  });
});

describe('rates of groups', () => {
  it("have Newcombe's intervals as statsmodels' confint_proportions_2indep has them", () => {
    for (const [a, m, b, n, low, high] of REFERENCE.newcombe) {
      const interval = newcombe({ hits: a, trials: m }, { hits: b, trials: n });
      expect(interval.low).toBeCloseTo(low, 12);
      expect(interval.high).toBeCloseTo(high, 12);
    }
    const none = { hits: 0, trials: 0 };
    expect(newcombe(none, none)).toEqual({ low: -1, high: 1 });
    expect(rateOf(none)).toBe(0);
  });

  it('drawn towards the whole lie between both, and no longer make the smallest group the extreme one', () => {
    const uniform = seededUniform(1);
    let [plain, shrunk] = [0, 0];
    for (let trial = 0; trial < 500; trial += 1) {
      const rates = [2000, 300, 30, 11].map((trials) => {
        let hits = 0;
        for (let row = 0; row < trials; row += 1) hits += Number(uniform() < 0.4);
        return { hits, trials };
      });
      const gap = (values: number[]) => Math.max(...values) - Math.min(...values);
      plain += gap(rates.map(rateOf)) / 500;
      shrunk += gap(rates.map((rate) => shrunkRate(rate, 0.4))) / 500;
    }
    expect(shrunk).toBeLessThan(0.6 * plain);
    expect(shrunkRate({ hits: 10, trials: 10 }, 0.4)).toBeCloseTo((10 + 8) / 30, 12);
    expect(selected(compas[0])).toEqual({ hits: 1829, trials: 3175 });
  });

  it('of rows without labels lie within the bounds of Manski', () => {
    expect(manskiBounds(30, 40, 100)).toEqual({ low: 0.3, high: 0.9 });
    expect(manskiBounds(30, 40, 20)).toEqual({ low: 0.75, high: 0.75 });
    expect(manskiBounds(0, 0, 0)).toEqual({ low: 0, high: 1 });
    expect(() => manskiBounds(3, 2, 10)).toThrow('3 of 2 labels');
  });
});
