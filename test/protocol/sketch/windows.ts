import fc from 'fast-check';
import { addCategory, categoryIndex } from '../../../protocol/sketch/frequency.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { addLatency } from '../../../protocol/sketch/latency.ts';
import {
  emptyWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../../protocol/sketch/window.ts';

/** Grids with an atom at 0, text and numeric categories, and a feature of a single bin. */
export const GRIDS: WindowGrids = {
  features: [
    { kind: 'numeric', edges: Float64Array.of(-10, -1, 0, Number.MIN_VALUE, 1, 10) },
    { kind: 'categorical', values: ['a', 'b', 'c'] },
    { kind: 'categorical', values: [0, 1, 2] },
    { kind: 'numeric', edges: new Float64Array(0) },
  ],
  prediction: { kind: 'numeric', edges: Float64Array.of(0.25, 0.5, 0.75) },
};

export interface Row {
  readonly x: number | null;
  readonly text: string | null;
  readonly code: number | null;
  readonly score: number;
  readonly latencyUs: number;
}

/** Negatives, zeros of both signs, NaN, ±Inf, subnormals and huge values, with nulls. */
export const anyNumber = fc.oneof(
  fc.double(),
  fc.double({ min: -20, max: 20 }),
  fc.constantFrom(-0, 0, 1, -1, 10, NaN, Infinity, -Infinity, 2 ** 480, -(2 ** 480), 2 ** 481),
  fc.integer({ min: -12, max: 12 }),
);

export const anyRows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    x: fc.option(anyNumber),
    text: fc.option(fc.constantFrom('a', 'b', 'c', 'd')),
    code: fc.option(fc.constantFrom(0, 1, 2, 3, NaN)),
    score: fc.double({ min: 0, max: 1, noNaN: true }),
    latencyUs: fc.oneof(fc.double({ min: 0, max: 1e7, noNaN: true }), fc.constantFrom(0, 1, 1e12)),
  }),
  { maxLength: 60 },
);

const CODE_INDEX = categoryIndex({ values: [0, 1, 2] });
const TEXT_INDEX = categoryIndex({ values: ['a', 'b', 'c'] });

/** What a recorder would have counted for these rows, one request each. */
export function windowOf(rows: readonly Row[]): WindowSketch {
  const window = emptyWindow(GRIDS);
  const [first, text, code, last] = window.features;
  const [firstGrid, , , lastGrid] = GRIDS.features;
  for (const row of rows) {
    window.requests += 1;
    window.rows += 1;
    if (row.text === 'd') window.errors += 1;
    if (first.kind === 'numeric' && firstGrid.kind === 'numeric')
      addNumeric(first, firstGrid, row.x);
    if (text.kind === 'categorical') addCategory(text, TEXT_INDEX, row.text);
    if (code.kind === 'categorical') addCategory(code, CODE_INDEX, row.code);
    if (last.kind === 'numeric' && lastGrid.kind === 'numeric')
      addNumeric(last, lastGrid, row.code);
    if (window.prediction.kind === 'numeric' && GRIDS.prediction.kind === 'numeric') {
      addNumeric(window.prediction, GRIDS.prediction, row.score);
    }
    addLatency(window.latency, row.latencyUs);
  }
  return window;
}

/** Everything that must be exact, as plain values to compare. */
export function exactPart(window: WindowSketch): unknown {
  const { requests, rows, errors, nonFiniteOutputs, features, prediction, latency } = window;
  return {
    totals: { requests, rows, errors, nonFiniteOutputs },
    features: [...features, prediction].map((feature) =>
      feature.kind === 'numeric'
        ? {
            missing: feature.missing,
            nonFinite: feature.nonFinite,
            counts: [...feature.counts],
            count: feature.moments.count,
            // + 0: which of the two zeros came first is no difference.
            min: feature.moments.min + 0,
            max: feature.moments.max + 0,
          }
        : { missing: feature.missing, unseen: feature.unseen, counts: [...feature.counts] },
    ),
    latency: { count: latency.count, maxUs: latency.maxUs, counts: [...latency.counts] },
  };
}

/** Largest difference of means and deviations, as a share of the largest |x|. */
export function momentError(a: WindowSketch, b: WindowSketch): number {
  let error = 0;
  for (const [k, feature] of [...a.features, a.prediction].entries()) {
    const other = [...b.features, b.prediction][k];
    if (feature.kind !== 'numeric' || other.kind !== 'numeric') continue;
    const { count, mean, m2, min, max } = feature.moments;
    if (count === 0) continue;
    const scale = Math.max(Math.abs(min), Math.abs(max), 1e-150);
    const deviation = Math.sqrt(m2 / count);
    error = Math.max(
      error,
      Math.abs(mean - other.moments.mean) / scale,
      // Squares: near zero the root would magnify rounding to its own root.
      Math.abs(m2 - other.moments.m2) / count / scale ** 2,
      ...feature.sums.map((sum, bin) => Math.abs(sum - other.sums[bin]) / count / scale),
    );
    if (!Number.isFinite(deviation)) return Infinity;
  }
  return error;
}
