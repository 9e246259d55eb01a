import { describe, expect, test } from 'vitest';
import { fairnessViews } from '../../../control-plane/reading/fairness-view.ts';
import { groupCounts } from '../../../control-plane/reading/group-counts.ts';
import { alwaysValidGap } from '../../../protocol/statistics/confidence-sequence.ts';
import { fairnessMetrics } from '../../../protocol/statistics/fairness-metrics.ts';
import { rowsStillNeeded } from '../../../protocol/statistics/fairness-verdict.ts';
import { newcombe } from '../../../protocol/statistics/trials.ts';
import { seeded } from '../../support/synthetic-windows.ts';
import { GRID, group, outcomeOf } from './outcomes.ts';

/** COMPAS (`research/monitoring.md` 5, Newcombe 95 %): false positives of 1,514 and 1,281 people without a new offence. */
const COMPAS = {
  africanAmerican: { hits: 641, trials: 1514 },
  caucasian: { hits: 282, trials: 1281 },
};

describe('gaps', () => {
  test('the Newcombe interval is the published one', () => {
    const { low, high } = newcombe(COMPAS.africanAmerican, COMPAS.caucasian);
    expect(low).toBeCloseTo(0.1692, 4);
    expect(high).toBeCloseTo(0.2365, 4);
  });

  test('the always-valid interval holds the one-look interval and starts with ten events', () => {
    const sequence = alwaysValidGap(COMPAS.africanAmerican, COMPAS.caucasian, 0.05);
    expect(sequence?.low).toBeLessThan(0.1692);
    expect(sequence?.high).toBeGreaterThan(0.2365);
    expect(alwaysValidGap({ hits: 9, trials: 500 }, COMPAS.caucasian, 0.05)).toBeNull();
    expect(alwaysValidGap({ hits: 10, trials: 500 }, COMPAS.caucasian, 0.05)).not.toBeNull();
  });

  test('rows that are said to be needed decide the verdict, at the same rates', () => {
    const views = (rows: number) =>
      fairnessViews([group('F', rows, rows / 2), group('M', rows, rows / 2)])[0].gaps[0];
    const { rowsNeeded, verdict } = views(400);
    expect(verdict).toBe('insufficient');
    // The sequence of the smallest alpha, not one look at 95 %: that would have said 292 rows too few.
    expect(rowsNeeded).toBe(
      rowsStillNeeded({ hits: 200, trials: 400 }, { hits: 200, trials: 400 }, 0.1, 0.05 / 3),
    );
    expect(views(2 * Math.ceil((400 + (rowsNeeded ?? 0)) / 2)).verdict).toBe('complies');
  });
});

describe('verdicts', () => {
  const verdictOf = (...groups: Parameters<typeof fairnessViews>[0]) =>
    fairnessViews(groups)[0].verdict;

  test('a wide gap violates, a narrow one complies, few rows say nothing', () => {
    expect(verdictOf(group('F', 3000, 900), group('M', 3000, 1800))).toBe('violates');
    expect(verdictOf(group('F', 60_000, 30_000), group('M', 60_000, 30_300))).toBe('complies');
    expect(verdictOf(group('F', 120, 30), group('M', 120, 60))).toBe('insufficient');
  });

  test('groups below 100 rows are listed and not compared', () => {
    const [view] = fairnessViews([group('F', 99, 0), group('M', 500, 250), group('X', 500, 250)]);
    expect(view.groups.map(({ small }) => small)).toEqual([true, false, false]);
    expect(view.gaps.every(({ group: name }) => name !== 'sex=F')).toBe(true);
    expect(view.metrics?.demographicParityDifference).toBe(0);
  });

  test('true positive rates are not judged while most labels are missing', () => {
    const labels = { tp: 300, fn: 20, fp: 20, tn: 300 };
    const [view] = fairnessViews([
      group('F', 1000, 500, { ...labels, tp: 20, fn: 300 }),
      group('M', 1000, 500, labels),
    ]);
    const gap = view.gaps.find(({ rate }) => rate === 'truePositiveRate');
    expect(gap).toMatchObject({ verdict: 'insufficient', sequence: null });
  });

  test('a fair classifier watched for 200 looks violates in at most 5 % of runs', () => {
    const random = seeded(4);
    let violations = 0;
    for (let run = 0; run < 100; run += 1) {
      const counts = { F: [0, 0], M: [0, 0] };
      let violated = false;
      for (let look = 0; look < 200; look += 1) {
        for (const one of [counts.F, counts.M]) {
          for (let row = 0; row < 10; row += 1) {
            one[0] += 1;
            one[1] += Number(random() < 0.45);
          }
        }
        violated ||=
          verdictOf(group('F', counts.F[0], counts.F[1]), group('M', counts.M[0], counts.M[1])) ===
          'violates';
      }
      violations += Number(violated);
    }
    expect(violations).toBeLessThanOrEqual(5);
  });
});

test('metrics need two groups, and labels where they speak of truth', () => {
  expect(fairnessMetrics([group('F', 10, 5)]).demographicParityDifference).toBeNull();
  expect(fairnessMetrics([group('F', 10, 5), group('M', 10, 2)])).toMatchObject({
    demographicParityDifference: 0.3,
    demographicParityRatio: 0.4,
    equalOpportunityDifference: null,
  });
});

test('cells get the names of their groups, and empty ones are left out', () => {
  const outcome = outcomeOf({ 0: { rows: 3 }, 1: { rows: 2 }, 4: { rows: 1 } });
  expect(groupCounts(GRID, outcome).map(({ group: name }) => name)).toEqual([
    'everyone',
    'sex=F',
    'sex=missing',
  ]);
});
