import fc from 'fast-check';
import { EVALUATOR_GRID, emptyEvaluator } from '../../../protocol/sketch/evaluator.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { addLatency } from '../../../protocol/sketch/latency.ts';
import type { OutcomeGrid } from '../../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../../protocol/sketch/outcome-count.ts';
import { FOURIER_UNIT, type TensorGrid } from '../../../protocol/sketch/tensor-sketch.ts';
import {
  emptyWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../../protocol/sketch/window.ts';
import { GRIDS } from './windows.ts';

/** A row of which everything is watched. */
export interface OutcomeRow {
  readonly kind: OutcomeGrid['kind'];
  readonly group: number;
  readonly prediction: number;
  readonly label: number | null;
  /** An embedding of two elements. */
  readonly vector: readonly [number, number];
  /** Of an evaluator. */
  readonly score: number | null;
}

const TENSOR: TensorGrid = {
  name: 'embedding',
  measures: [{ name: 'norm', grid: { edges: Float64Array.of(0.5, 1, 2) } }],
  fourier: 4,
  centroids: 2,
};

function gridOf(kind: OutcomeGrid['kind']): OutcomeGrid {
  return {
    kind,
    axes: [
      { attribute: 'sex', kind: 'values', values: ['f', 'm'] },
      { attribute: 'age', kind: 'edges', edges: [25] },
    ],
    scoreBins: kind === 'binary' ? 8 : 0,
    classes: kind === 'multiclass' ? ['a', 'b', 'c'] : [],
  };
}

export function gridsOf(kind: OutcomeGrid['kind']): WindowGrids {
  return { ...GRIDS, outcome: gridOf(kind), tensors: [TENSOR] };
}

export function emptyWatched(kind: OutcomeGrid['kind']): WindowSketch {
  return emptyWindow(gridsOf(kind));
}

export function watchedWindow(
  kind: OutcomeGrid['kind'],
  rows: readonly OutcomeRow[],
): WindowSketch {
  const window = emptyWatched(kind);
  for (const row of rows) count(window, kind, row);
  return window;
}

/** Counted and not merged, so that merging can be held against it. Dyadic costs, so that their sums are exact. */
function count(window: WindowSketch, kind: OutcomeGrid['kind'], row: OutcomeRow): void {
  const { outcome } = window;
  if (outcome === null) throw new Error('outcomes are watched');
  const cells = new OutcomeCells(gridOf(kind));
  const levels = [row.group, (row.group + 1) % 4];
  const positive = row.prediction >= 0.5;
  cells.countPrediction(outcome, levels, row.prediction, positive);
  if (row.label !== null) {
    cells.countLabel(outcome, levels, row.prediction, positive, row.label);
    outcome.labels.joined += 1;
    addLatency(outcome.labels.delay, 86_400_000);
  }
  watchTensor(window, row.vector);
  for (const name of ['a', 'ß']) {
    const known = window.evaluators.find((one) => one.name === name);
    const evaluator = known ?? emptyEvaluator(name);
    if (known === undefined) window.evaluators.push(evaluator);
    if (row.score === null) evaluator.failed += 1;
    else addNumeric(evaluator.scores, EVALUATOR_GRID, row.score);
    if (row.score !== null && row.score >= 0.5) evaluator.flagged += 1;
  }
  window.cost.computeUs += 1.5;
  window.cost.priceMicros += 0.25;
}

function watchTensor(window: WindowSketch, [a, b]: readonly [number, number]): void {
  const [tensor] = window.tensors;
  tensor.rows += 1;
  addNumeric(tensor.measures[0], TENSOR.measures[0].grid, Math.hypot(a, b));
  if (!Number.isFinite(a + b)) return;
  tensor.centroidCounts[a < b ? 0 : 1] += 1;
  for (const [k, phi] of [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)].entries()) {
    tensor.fourierSums[k] += Math.round(FOURIER_UNIT * phi);
  }
}

export function anyOutcomes(kind: OutcomeGrid['kind']): fc.Arbitrary<OutcomeRow[]> {
  const element = fc.oneof(fc.double({ min: -9, max: 9 }), fc.constantFrom(NaN, Infinity, 0));
  const number = {
    binary: { prediction: fc.double({ min: 0, max: 1, noNaN: true }), label: fc.nat(1) },
    multiclass: {
      prediction: fc.integer({ min: -1, max: 2 }),
      label: fc.integer({ min: -1, max: 2 }),
    },
    regression: {
      prediction: fc.oneof(fc.double({ min: -1e3, max: 1e3, noNaN: true }), fc.constant(2 ** 480)),
      label: fc.double({ min: -1e3, max: 1e3, noNaN: true }),
    },
  }[kind];
  return fc.array(
    fc.record({
      kind: fc.constant(kind),
      group: fc.nat(3),
      prediction: number.prediction,
      label: fc.option(number.label),
      vector: fc.tuple(element, element),
      score: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    }),
    { maxLength: 20 },
  );
}
