import { expect, test } from 'vitest';
import { unseenRegion } from '../../../control-plane/decide/unseen-region.ts';
import { performanceView } from '../../../control-plane/reading/performance-view.ts';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { emptyWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { seeded } from '../../support/synthetic-windows.ts';
import { outcomeOf, setScores } from '../reading/outcomes.ts';

const random = seeded(11);
const baseline = Float64Array.from({ length: 5_000 }, () => random() + random());
const grid = gridFromReference(baseline);
const shape = { features: ['age', 'income'], reference: windowOf([[...baseline], [...baseline]]) };

function windowOf(columns: readonly (readonly number[])[]): WindowSketch {
  const numeric = { kind: 'numeric' as const, ...grid };
  const window = emptyWindow({ features: [numeric, numeric], prediction: numeric });
  for (const [at, values] of columns.entries()) {
    const sketch = window.features[at];
    if (sketch.kind === 'numeric') for (const value of values) addNumeric(sketch, grid, value);
  }
  return window;
}

/** So many rows of the baseline's kind, and so many far above all of it. */
const rows = (seen: number, unseen: number) => [
  ...Array.from({ length: seen }, () => random() + random()),
  ...Array.from({ length: unseen }, () => 50),
];

test('a feature with more than 5 % of its rows where the baseline had none is named, the worst one first', () => {
  expect(unseenRegion(shape, windowOf([rows(1_000, 0), rows(1_000, 0)]))).toBeNull();
  expect(unseenRegion(shape, windowOf([rows(1_000, 0), rows(800, 200)]))).toEqual({
    feature: 'income',
    share: 0.2,
  });
  expect(unseenRegion(shape, windowOf([rows(500, 500), rows(800, 200)]))?.feature).toBe('age');
});

test('few rows, and a share that may be 5 %, are no unseen region; without a baseline there is none', () => {
  expect(unseenRegion(shape, windowOf([rows(18, 2), rows(20, 0)]))).toBeNull();
  expect(unseenRegion(shape, windowOf([rows(940, 60), rows(1_000, 0)]))).toBeNull();
  expect(unseenRegion({ ...shape, reference: null }, windowOf([rows(0, 9), []]))).toBeNull();
});

test('an estimate of performance is not shown there, however much labels trust it', () => {
  const outcome = outcomeOf({ 0: { rows: 200, tp: 45, fp: 5, fn: 5, tn: 45 } });
  // Answered no, answered yes, sum of scores: of two bins.
  setScores(outcome, [
    [100, 0, 10],
    [0, 100, 90],
  ]);
  const shown = performanceView(outcome, null, null).estimated;
  expect(shown?.estimate?.accuracy).toBeCloseTo(0.9, 10);
  const unseen = { feature: 'income', share: 0.2 };
  const hidden = performanceView(outcome, null, null, unseen).estimated;
  expect(hidden).toMatchObject({ estimate: null, unseen, trust: shown?.trust });
});
