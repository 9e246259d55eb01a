import { describe, expect, test } from 'vitest';
import { sparkbar } from '../../../control-plane/cli/sparkbar.ts';
import { decompose } from '../../../control-plane/reading/decomposition.ts';
import { DEFAULT_LIMITS } from '../../../control-plane/reading/fairness-view.ts';
import { featureViews } from '../../../control-plane/reading/feature-view.ts';
import { PeriodFold } from '../../../control-plane/reading/fold-period.ts';
import { PeriodView } from '../../../control-plane/reading/period-view.ts';
import { MAX_POINTS, periodOf } from '../../../control-plane/reading/resolution.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { emptyWindow, mergeWindow } from '../../../protocol/sketch/window.ts';
import { GRIDS, seeded, syntheticWindow } from '../../support/synthetic-windows.ts';
import { GRID, outcomeOf } from './outcomes.ts';

const DAY_MS = 86_400_000;
const random = seeded(11);
const feature = (rows: number, inputShift = 0) =>
  syntheticWindow(random, { rows, inputShift }).features[0];

describe('resolution', () => {
  test('the finest step of at most 300 points is taken', () => {
    expect(periodOf(0, 150_000, 'auto', 500).stepMs).toBe(500);
    expect(periodOf(0, 150_001, 'auto', 500).stepMs).toBe(60_000);
    expect(periodOf(0, 150_000, 'auto', 500, 299).stepMs).toBe(60_000);
    expect(periodOf(0, DAY_MS, 'auto', 1000).stepMs).toBe(300_000);
    expect(periodOf(0, 30 * DAY_MS, 'auto', 300_000).stepMs).toBe(DAY_MS);
  });

  test('a thousand points are answered, one more is not', () => {
    const most = MAX_POINTS * 300_000;
    expect(periodOf(0, most, '5m', 1000).stepMs).toBe(300_000);
    expect(() => periodOf(0, most + 1, '5m', 1000)).toThrow('coarser');
    expect(() => periodOf(2, 1, 'auto', 1000)).toThrow('exchange');
  });
});

describe('features of a period', () => {
  const compared = (rows: number, shift: number) => [
    {
      name: 'x',
      grid: GRIDS.features[0],
      reference: feature(10_000),
      current: feature(rows, shift),
    },
  ];

  test.each([
    ['ok', 2000, 0],
    ['alert', 2000, 0.5],
    ['insufficient', 199, 3],
  ] as const)('%s at %i rows and a shift of %d σ', (verdict, rows, shift) => {
    expect(featureViews(compared(rows, shift))[0].verdict).toBe(verdict);
  });

  test('the interval of the debiased PSI covers what many rows show in 9 of 10 samples', () => {
    const truth = featureViews(compared(200_000, 0.4))[0].debiasedPsi;
    let covered = 0;
    for (let run = 0; run < 100; run += 1) {
      const interval = featureViews(compared(1000, 0.4))[0].psiInterval;
      if (interval === null) throw new Error('both sides have rows');
      covered += Number(interval.low <= truth && truth <= interval.high);
    }
    expect(covered).toBeGreaterThanOrEqual(90);
  });
});

describe('mix against within', () => {
  test('hosts that send as before while their shares change: mix', () => {
    const [cold, hot] = [feature(5000, -1), feature(5000, 1)];
    const few = { low: feature(1000, -1), high: feature(9000, 1) };
    const parts = decompose([
      { host: 'north', before: cold, now: few.low },
      { host: 'south', before: hot, now: few.high },
    ]);
    expect(parts?.cause).toBe('mix');
    expect(parts?.total).toBeGreaterThan(0.2);
  });

  test('one of three hosts changes: within, it stands first, and hosts differ', () => {
    const parts = decompose(
      ['a', 'b', 'c'].map((host) => ({
        host,
        before: feature(3000),
        now: feature(3000, host === 'b' ? 1.5 : 0),
      })),
    );
    expect(parts?.cause).toBe('within');
    expect(parts?.hosts[0].host).toBe('b');
    expect(parts?.heterogeneity?.iSquared).toBeGreaterThan(0.9);
  });

  test('a host that is new counts as mix; without rows there is nothing to say', () => {
    const none = emptyWindow(GRIDS).features[0];
    const parts = decompose([
      { host: 'old', before: feature(3000), now: feature(3000) },
      { host: 'new', before: none, now: feature(3000, 3) },
    ]);
    expect(parts?.cause).toBe('mix');
    expect(parts?.interaction).toBeLessThan(0.05);
    expect(parts?.hosts[0].host).toBe('new');
    expect(decompose([{ host: 'old', before: none, now: none }])).toBeNull();
  });
});

test('groups of a period are held to the limits of the deployment', () => {
  const gap = { 1: { rows: 4000, positive: 2000 }, 2: { rows: 4000, positive: 2260 } };
  const total = { ...emptyWindow(GRIDS), outcome: outcomeOf({ 0: { rows: 8000 }, ...gap }) };
  const shape = {
    ...{ features: [], predicts: false, reference: null },
    grids: { ...GRIDS, outcome: GRID },
  };
  const verdictAt = (differenceLimit: number) => {
    const limits = { ...DEFAULT_LIMITS, differenceLimit };
    const view = new PeriodView(shape, [], new Set(['fairness']), null, limits);
    return view.sections(total, 1000).fairness?.[0].verdict;
  };
  expect(verdictAt(0.01)).toBe('violates');
  expect(verdictAt(0.065)).toBe('insufficient');
});

test('points of a period are exact merges, and so is their total', () => {
  const windows = Array.from({ length: 12 }, () => syntheticWindow(random, { rows: 50 }));
  const points: number[] = [];
  const fold = new PeriodFold(
    GRIDS,
    { fromMs: 0, toMs: 1200, stepMs: 300 },
    (startMs, window) => {
      points.push(startMs);
      expect(window.rows).toBe(150);
    },
    true,
  );
  const whole = emptyWindow(GRIDS);
  for (const [at, window] of windows.entries()) {
    fold.add({ host: `h${at % 2}`, startMs: at * 100, window });
    mergeWindow(whole, window);
  }
  const { total, hosts } = fold.end();
  expect(points).toEqual([0, 300, 600, 900]);
  expect([...total.features[0].counts]).toEqual([...whole.features[0].counts]);
  expect(encodeWindow(total).length).toBeGreaterThan(0);
  expect([...hosts.values()].map(({ rows }) => rows)).toEqual([300, 300]);
});

test('a sparkbar keeps spikes, gaps and its width', () => {
  expect(sparkbar([0, 0.5, 1, null], 8, 1)).toBe('▁▅█ ');
  expect(sparkbar([0, 0, 9, 0], 2, 1)).toBe('▁█');
  expect(sparkbar([], 8, 1)).toBe('');
});
