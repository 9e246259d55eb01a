import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NumericSketch } from '../../../protocol/sketch/histogram.ts';
import { GROUP_FIELDS, SCORE_FIELDS } from '../../../protocol/sketch/outcome.ts';
import { joinWindows, mergeWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { anyOutcomes, emptyWatched, type OutcomeRow, watchedWindow } from './watched.ts';

const KINDS = ['binary', 'multiclass', 'regression'] as const;
type Kind = (typeof KINDS)[number];

function merged(kind: Kind, ...windows: WindowSketch[]): WindowSketch {
  const into = emptyWatched(kind);
  for (const window of windows) mergeWindow(into, structuredClone(window));
  return into;
}

/** Counts, and sums of whole numbers and of dyadic costs: these must not depend on the order at all. */
function exactSections({ outcome, tensors, evaluators, cost }: WindowSketch): unknown {
  if (outcome === null) throw new Error('outcomes are watched');
  return {
    groups: columns(outcome.groups, GROUP_FIELDS[outcome.kind], false),
    scores: columns(outcome.scores, SCORE_FIELDS, false),
    confusion: [...outcome.confusion],
    labels: { ...outcome.labels, delay: [...outcome.labels.delay.counts] },
    tensors: tensors.map(({ rows, fourierSums, centroidCounts, measures }) => ({
      ...{ rows, fourierSums: [...fourierSums], centroidCounts: [...centroidCounts] },
      measures: measures.map(countsOf),
    })),
    evaluators: evaluators.map(({ scores, ...counts }) => ({
      ...counts,
      scores: countsOf(scores),
    })),
    cost,
  };
}

function countsOf({ counts, missing, nonFinite, moments }: NumericSketch): unknown {
  const { count, min, max } = moments;
  // + 0: which of the two zeros came first is no difference.
  return { counts: [...counts], missing, nonFinite, count, min: min + 0, max: max + 0 };
}

/** Columns of a table by name: of counts, or of sums. */
function columns(values: Float64Array, names: readonly string[], sums: boolean): number[][] {
  return names.flatMap((name, field) =>
    /Sum|Squares|Abs/.test(name) === sums
      ? [[...values].filter((_, at) => at % names.length === field)]
      : [],
  );
}

/** Sums of fractions, each with what its column holds at most: the scale of their rounding. */
function sumsOf({ outcome, tensors, evaluators }: WindowSketch): number[][] {
  if (outcome === null) throw new Error('outcomes are watched');
  return [
    ...columns(outcome.groups, GROUP_FIELDS[outcome.kind], true),
    ...columns(outcome.scores, SCORE_FIELDS, true),
    ...tensors.flatMap(({ measures }) => measures.map(({ sums }) => [...sums])),
    ...evaluators.map(({ scores }) => [...scores.sums]),
    ...evaluators.map(({ scores }) => [scores.moments.mean]),
  ];
}

function expectSame(a: WindowSketch, b: WindowSketch, scale: number): void {
  expect(exactSections(a)).toEqual(exactSections(b));
  const others = sumsOf(b);
  for (const [column, values] of sumsOf(a).entries()) {
    for (const [at, value] of values.entries()) {
      expect(Math.abs(value - others[column][at])).toBeLessThanOrEqual(1e-13 * scale);
    }
  }
}

/** The largest that a sum over these rows can be, twice: a cell holds a row once. */
function scaleOf(rows: readonly OutcomeRow[]): number {
  return rows.reduce((sum, { prediction, label }) => {
    const most = Math.max(1, Math.abs(prediction), Math.abs(label ?? 0));
    return sum + 8 * most * most;
  }, 20);
}

describe.each(KINDS)('outcome, tensors, evaluators and cost: %s', (kind) => {
  const anyThree = fc.tuple(anyOutcomes(kind), anyOutcomes(kind), anyOutcomes(kind));

  it('merge in any order and grouping', () => {
    fc.assert(
      fc.property(anyThree, (rows) => {
        const [a, b, c] = rows.map((some) => watchedWindow(kind, some));
        const scale = scaleOf(rows.flat());
        expectSame(merged(kind, a, b), merged(kind, b, a), scale);
        const left = merged(kind, merged(kind, a, b), c);
        expectSame(left, merged(kind, a, merged(kind, b, c)), scale);
        expectSame(left, watchedWindow(kind, rows.flat()), scale);
      }),
      { numRuns: 40 },
    );
  });

  it('are joined with a window that lacks them as with an empty one, from either side', () => {
    fc.assert(
      fc.property(anyOutcomes(kind), (rows) => {
        const window = watchedWindow(kind, rows);
        const bare: WindowSketch = { ...emptyWatched(kind), outcome: null, tensors: [] };
        const before = structuredClone(window);
        expectSame(joinWindows(structuredClone(bare), window), before, 0);
        expectSame(joinWindows(structuredClone(window), bare), before, 0);
      }),
      { numRuns: 20 },
    );
  });
});
