import { describe, expect, test } from 'vitest';
import { performanceView } from '../../../control-plane/reading/performance-view.ts';
import { hanleyMcNeil } from '../../../protocol/statistics/auc.ts';
import { estimatePerformance, trustOf } from '../../../protocol/statistics/cbpe.ts';
import { calibrated, isotonicMap } from '../../../protocol/statistics/isotonic.ts';
import { scoreBins } from '../../../protocol/statistics/score-bins.ts';
import { outcomeOf, setScores } from './outcomes.ts';

const bin = (labelled0: number, labelled1: number, score: number) => {
  const rows = labelled0 + labelled1;
  return { negative: rows, positive: 0, scoreSum: score * rows, labelled0, labelled1 };
};

describe('isotonic calibration', () => {
  test('violators are pooled, weighted by their rows (PAV of 0.2, 0.5, 0.4, 0.8 with weights 10, 10, 30, 10)', () => {
    const map = isotonicMap([bin(8, 2, 0.1), bin(5, 5, 0.3), bin(18, 12, 0.5), bin(2, 8, 0.9)]);
    expect(map?.probabilities).toEqual([0.2, 0.425, 0.425, 0.8]);
    expect(calibrated(map, 0.05)).toBe(0.2);
    expect(calibrated(map, 0.2)).toBeCloseTo(0.3125, 12);
    expect(calibrated(map, 1)).toBe(0.8);
  });

  test('without a label there is no map, and scores are believed', () => {
    expect(isotonicMap([{ ...bin(0, 0, 0.5), negative: 3, scoreSum: 1.5 }])).toBeNull();
    expect(calibrated(null, 0.37)).toBe(0.37);
  });
});

test('CBPE: expected confusion of two bins, by hand', () => {
  const bins = [
    { negative: 80, positive: 0, scoreSum: 8, labelled0: 0, labelled1: 0 },
    { negative: 0, positive: 20, scoreSum: 18, labelled0: 0, labelled1: 0 },
  ];
  const estimate = estimatePerformance(bins, null);
  expect(estimate?.accuracy).toBeCloseTo(0.9, 12);
  expect(estimate?.precision).toBeCloseTo(0.9, 12);
  expect(estimate?.recall).toBeCloseTo(18 / 26, 12);
  // Pairs won: 18 × 72; tied: 8 × 72 / 2 and 18 × 2 / 2; of 26 × 74.
  expect(estimate?.auc).toBeCloseTo((18 * 72 + 4 * 72 + 18) / (26 * 74), 12);
  expect(estimatePerformance(scoreBins(new Float64Array(0)), null)).toBeNull();
});

test('trust is 1 in agreement and 0 from a gap of 0.1', () => {
  expect(trustOf(0.8, 0.8)).toBe(1);
  expect(trustOf(0.8, 0.75)).toBeCloseTo(0.5, 12);
  expect(trustOf(0.8, 0.426)).toBe(0);
});

test('at an area of ½ the standard error is that of the Mann–Whitney null, √((m + n + 1) / (12 m n))', () => {
  const { low } = hanleyMcNeil(0.5, 51, 58);
  expect((0.5 - low) / 1.959963984540054).toBeCloseTo(Math.sqrt(110 / (12 * 51 * 58)), 12);
});

describe('realised performance', () => {
  test('of half the rows labelled: completeness, intervals, and bounds for the rest', () => {
    const view = performanceView(
      outcomeOf({ 0: { rows: 200, tp: 40, fp: 10, fn: 10, tn: 40 } }),
      null,
      null,
    );
    expect(view.labels).toMatchObject({ predictions: 200, labelled: 100, completeness: 0.5 });
    expect(view.realised).toMatchObject({
      accuracy: { value: 0.8, trials: 100 },
      accuracyBounds: { low: 0.4, high: 0.9 },
      f1: 0.8,
    });
    expect(view.realised?.kind === 'binary' && view.realised.accuracy.low).toBeCloseTo(0.7112, 4);
  });

  test('without a label nothing is realised; an estimate that proved wrong is hidden', () => {
    const unlabelled = outcomeOf({ 0: { rows: 200 } });
    setScores(unlabelled, [
      [100, 0, 10, 0, 0],
      [0, 100, 90, 0, 0],
    ]);
    const before = performanceView(unlabelled, null, null);
    expect(before.realised).toBeNull();
    expect(before.estimated).toMatchObject({ trust: null, estimate: { rows: 200 } });

    const wrong = outcomeOf({ 0: { rows: 200, tp: 50, fp: 50, fn: 50, tn: 50 } });
    setScores(wrong, [
      [100, 0, 10, 50, 50],
      [0, 100, 90, 50, 50],
    ]);
    expect(performanceView(wrong, null, null).estimated).toMatchObject({
      estimate: null,
      trust: 0,
    });
  });
});
