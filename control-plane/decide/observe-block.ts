import type { MonitoringInForce } from '../../protocol/monitoring.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { MIN_TRUST } from '../../protocol/statistics/cbpe.ts';
import { isotonicMap } from '../../protocol/statistics/isotonic.ts';
import { scoreBins } from '../../protocol/statistics/score-bins.ts';
import { compareTensor } from '../../protocol/statistics/tensor-drift.ts';
import { MIN_BLOCK_ROWS, MIN_SCORED } from './block.ts';
import { distanceSignal, PSI_FLOOR } from './distance-signal.ts';
import type { MonitorShape, MonitorState } from './drift-monitor.ts';
import { fairnessSignals, GAP_RATES, gapSignal } from './fairness-signal.ts';
import { latencySignal } from './latency-signal.ts';
import { outcomeOf } from './outcome-sum.ts';
import { estimatedSignal } from './performance-signal.ts';
import { type QualityKind, qualityRate, toleratedQuality } from './quality-signal.ts';
import { faultSignal, learnedRateSignal, rateSignal } from './rate-signal.ts';
import type { Learnt, Seen, Stream } from './stream.ts';
import { unseenRegion } from './unseen-region.ts';

/** What a block says of each stream; null where it can't speak of one. */
export type Observe = (stream: Stream) => Seen | Learnt | null;

export function observeBlock(
  state: MonitorState,
  shape: MonitorShape,
  config: MonitoringInForce,
  window: WindowSketch,
  seasonal: WindowSketch | null,
): Observe {
  const places = new Map(shape.features.map((name, at) => [name, at]));
  const fairness = lazily(() => fairnessOf(state, shape, config));
  return (stream) => {
    const { kind, name, memory } = stream;
    switch (kind) {
      case 'feature':
      case 'prediction':
        return distance(shape, window, seasonal, places.get(name), stream);
      case 'missing':
      case 'unseen':
      case 'out-of-range':
        return quality(kind, shape, window, places.get(name));
      case 'tensor':
        return tensor(shape, window, name);
      case 'errors':
        return faultSignal(window.errors, window.requests);
      case 'non-finite-outputs':
        return faultSignal(window.nonFiniteOutputs, window.rows);
      case 'latency':
        return latencySignal(window.latency, memory, config.learningWindows);
      case 'estimated-performance':
        return estimated(state, shape, window, stream);
      case 'fairness':
        return fairness().get(name) ?? null;
      case 'selection-gap':
        return gap(shape, config, window, name);
      case 'evaluator':
        return evaluator(window, config, stream);
      case 'label-errors':
      case 'error-gap':
        return null;
    }
  };
}

function distance(
  { reference, grids }: MonitorShape,
  window: WindowSketch,
  seasonal: WindowSketch | null,
  at: number | undefined,
  { kind, memory }: Stream,
): Seen | null {
  const against = seasonal ?? reference;
  if (against === null || window.rows < MIN_BLOCK_ROWS) return null;
  if (kind === 'prediction') {
    return distanceSignal(against.prediction, window.prediction, grids.prediction, memory);
  }
  if (at === undefined) return null;
  return distanceSignal(against.features[at], window.features[at], grids.features[at], memory);
}

function quality(
  kind: QualityKind,
  { reference }: MonitorShape,
  window: WindowSketch,
  at: number | undefined,
): Seen | null {
  if (reference === null || at === undefined || window.rows < MIN_BLOCK_ROWS) return null;
  const before = qualityRate(kind, reference.features[at], reference.features[at]);
  const now = qualityRate(kind, reference.features[at], window.features[at]);
  if (before === null || now === null) return null;
  return rateSignal(before, now, toleratedQuality(kind, reference.features[at]));
}

function tensor(shape: MonitorShape, window: WindowSketch, name: string): Seen | null {
  const { reference, tensors = [] } = shape;
  const at = tensors.findIndex((one) => one.name === name);
  const before = reference?.tensors[at];
  const now = window.tensors[at];
  if (before === undefined || now === undefined || now.rows < MIN_BLOCK_ROWS) return null;
  const { rows, logE, logP, effect: size } = compareTensor(before, now, tensors[at]);
  const effect = size / PSI_FLOOR;
  return {
    observation: { kind: 'evidence', logE: [logE], effect },
    measure: { kind: 'level', value: size, reference: 0, rows: rows.current, logP, effect },
  };
}

function estimated(
  { trust }: MonitorState,
  shape: MonitorShape,
  window: WindowSketch,
  { state, last }: Stream,
): Seen | null {
  const { outcome } = window;
  const baseline = shape.reference?.outcome ?? null;
  if (baseline === null || outcome === null) return null;
  const isWrong = trust !== null && trust < MIN_TRUST;
  if (isWrong || unseenRegion(shape, window) !== null) {
    // What labels have proved wrong, or nobody can know, must not stay an alarm: it counts as calm.
    if (state.kind !== 'alert' || last === null) return null;
    return { observation: { kind: 'evidence', logE: [], effect: 0 }, measure: last };
  }
  const map = isotonicMap(scoreBins(baseline.scores));
  return map === null ? null : estimatedSignal(baseline, outcome, map);
}

function fairnessOf(state: MonitorState, shape: MonitorShape, config: MonitoringInForce) {
  const grid = shape.grids.outcome ?? null;
  const sum = state.outcome === null || grid === null ? null : outcomeOf(state.outcome, grid);
  if (sum === null || grid === null) return new Map<string, Seen>();
  return fairnessSignals(grid, sum, config.fairness);
}

function gap(
  { reference, grids }: MonitorShape,
  { fairness }: MonitoringInForce,
  { outcome: current }: WindowSketch,
  attribute: string,
): Seen | null {
  const before = reference?.outcome ?? null;
  const grid = grids.outcome ?? null;
  if (before === null || grid === null || current === null) return null;
  const sides = { reference: before, current };
  return gapSignal(attribute, GAP_RATES['selection-gap'], grid, sides, fairness);
}

function evaluator(
  { evaluators }: WindowSketch,
  { learningWindows }: MonitoringInForce,
  { name, memory }: Stream,
): Seen | Learnt | null {
  const sketch = evaluators.find((one) => one.name === name);
  const trials = sketch?.scores.moments.count ?? 0;
  if (sketch === undefined || trials < MIN_SCORED) return null;
  const rate = { events: Math.min(sketch.flagged, trials), trials };
  return learnedRateSignal(rate, memory, learningWindows);
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
