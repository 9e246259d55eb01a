import { type CostSketch, emptyCost, mergeCost } from './cost.ts';
import { SketchError } from './error.ts';
import { type EvaluatorSketch, mergeEvaluators } from './evaluator.ts';
import {
  type CategoricalSketch,
  type CategoryGrid,
  emptyCategorical,
  mergeCategorical,
} from './frequency.ts';
import type { HistogramGrid } from './grid.ts';
import { emptyHashed, type HashedSketch, mergeHashed } from './hashed.ts';
import { emptyNumeric, mergeNumeric, type NumericSketch } from './histogram.ts';
import { emptyLatency, type LatencySketch, mergeLatency } from './latency.ts';
import {
  emptyOutcome,
  mergeOutcome,
  type OutcomeGrid,
  type OutcomeSketch,
  requireSameOutcome,
} from './outcome.ts';
import {
  emptyTensorSketch,
  mergeTensorSketch,
  requireSameTensor,
  type TensorGrid,
  type TensorSketch,
} from './tensor-sketch.ts';

export type FeatureSketch = NumericSketch | CategoricalSketch | HashedSketch;

export type FeatureGrid =
  | ({ readonly kind: 'numeric' } & HistogramGrid)
  | ({ readonly kind: 'categorical' } & CategoryGrid)
  | { readonly kind: 'hashed' };

/** Where everything in a window is counted: comes with the profile of a model version. */
export interface WindowGrids {
  readonly features: readonly FeatureGrid[];
  readonly prediction: FeatureGrid;
  /** Groups, scores and labels; absent or null where nothing of the kind is watched. */
  readonly outcome?: OutcomeGrid | null;
  readonly tensors?: readonly TensorGrid[];
}

/** What one host saw of one (deployment, version, arm) in one interval. */
export interface WindowSketch {
  requests: number;
  /** Answered rows: a batch of 8 is one request and 8 rows. */
  rows: number;
  /** Requests that failed. */
  errors: number;
  /** Rows whose output held NaN or ±Inf. */
  nonFiniteOutputs: number;
  /** In the order of the manifest's features. */
  readonly features: readonly FeatureSketch[];
  readonly prediction: FeatureSketch;
  readonly latency: LatencySketch;
  readonly outcome: OutcomeSketch | null;
  readonly tensors: readonly TensorSketch[];
  /** In ascending order of name. */
  readonly evaluators: EvaluatorSketch[];
  readonly cost: CostSketch;
}

export function emptyFeature(grid: FeatureGrid): FeatureSketch {
  switch (grid.kind) {
    case 'numeric':
      return emptyNumeric(grid);
    case 'categorical':
      return emptyCategorical(grid);
    case 'hashed':
      return emptyHashed();
  }
}

export function emptyWindow(grids: WindowGrids): WindowSketch {
  return {
    requests: 0,
    rows: 0,
    errors: 0,
    nonFiniteOutputs: 0,
    features: grids.features.map(emptyFeature),
    prediction: emptyFeature(grids.prediction),
    latency: emptyLatency(),
    outcome: grids.outcome ? emptyOutcome(grids.outcome) : null,
    tensors: (grids.tensors ?? []).map(emptyTensorSketch),
    evaluators: [],
    cost: emptyCost(),
  };
}

/**
 * Adds `from` to `into`: counts exactly, in any order; sums and moments within rounding.
 *
 * @throws SketchError `shape` when they were not counted on the same cells. All features are
 *   checked before the first is touched, so that a refused window leaves `into` as it was.
 */
export function mergeWindow(into: WindowSketch, from: WindowSketch): void {
  requireSameShape(into, from);
  into.requests += from.requests;
  into.rows += from.rows;
  into.errors += from.errors;
  into.nonFiniteOutputs += from.nonFiniteOutputs;
  for (let k = 0; k < into.features.length; k += 1) {
    mergeFeature(into.features[k], from.features[k]);
  }
  mergeFeature(into.prediction, from.prediction);
  mergeLatency(into.latency, from.latency);
  if (into.outcome !== null && from.outcome !== null) mergeOutcome(into.outcome, from.outcome);
  for (const [k, tensor] of from.tensors.entries()) mergeTensorSketch(into.tensors[k], tensor);
  mergeEvaluators(into.evaluators, from.evaluators);
  mergeCost(into.cost, from.cost);
}

/**
 * @throws SketchError `shape` unless `from` can be merged into `into`: counted on the same cells, and without a section
 *   that `into` lacks
 */
export function requireSameShape(into: WindowSketch, from: WindowSketch): void {
  if (into.features.length !== from.features.length) {
    throw new SketchError(
      'shape',
      `cannot merge ${from.features.length} features into ${into.features.length}`,
    );
  }
  for (let k = 0; k < into.features.length; k += 1) {
    requireSameCells(into.features[k], from.features[k], k);
  }
  requireSameCells(into.prediction, from.prediction, 'prediction');
  requireSameSections(into, from);
}

/**
 * A decoded window, with the sections of its version that it left out because they count nothing.
 *
 * @param grids what `window` was counted on: see `requireSameShape`
 */
export function withSections(window: WindowSketch, grids: WindowGrids): WindowSketch {
  const { outcome, tensors } = window;
  const watched = grids.tensors ?? [];
  return {
    ...window,
    outcome: outcome === null && grids.outcome ? emptyOutcome(grids.outcome) : outcome,
    tensors: tensors.length === 0 ? watched.map(emptyTensorSketch) : tensors,
  };
}

/**
 * `into` plus `from`, both decoded. A section that `into` lacks is taken over as it is: without its grids it could not be
 * made empty, and an encoded window leaves out what counts nothing. May change `into`; shares parts of `from`.
 *
 * @throws SketchError `shape` when they were not counted on the same cells
 */
export function joinWindows(into: WindowSketch, from: WindowSketch): WindowSketch {
  const sum = {
    ...into,
    outcome: into.outcome ?? from.outcome,
    tensors: into.tensors.length === 0 ? from.tensors : into.tensors,
  };
  mergeWindow(sum, {
    ...from,
    outcome: into.outcome === null ? null : from.outcome,
    tensors: into.tensors.length === 0 ? [] : from.tensors,
  });
  return sum;
}

/** A window without a section adds nothing to it: hosts that watch less can be merged with those that watch more. */
function requireSameSections(into: WindowSketch, from: WindowSketch): void {
  if (from.outcome !== null) {
    if (into.outcome === null) throw new SketchError('shape', 'outcomes are not watched here');
    requireSameOutcome(into.outcome, from.outcome);
  }
  if (from.tensors.length === 0) return;
  if (from.tensors.length !== into.tensors.length) {
    throw new SketchError(
      'shape',
      `cannot merge ${from.tensors.length} tensors into ${into.tensors.length}`,
    );
  }
  for (const [k, tensor] of from.tensors.entries()) requireSameTensor(into.tensors[k], tensor);
}

/** @throws SketchError `shape` when kinds or cells differ; `into` is then unchanged */
export function mergeFeature(into: FeatureSketch, from: FeatureSketch): void {
  if (into.kind === 'numeric' && from.kind === 'numeric') mergeNumeric(into, from);
  else if (into.kind === 'categorical' && from.kind === 'categorical') mergeCategorical(into, from);
  else if (into.kind === 'hashed' && from.kind === 'hashed') mergeHashed(into, from);
  else throw new SketchError('shape', `cannot merge ${from.kind} into ${into.kind}`);
}

function requireSameCells(into: FeatureSketch, from: FeatureSketch, name: string | number): void {
  if (into.kind === from.kind && into.counts.length === from.counts.length) return;
  throw new SketchError(
    'shape',
    `${typeof name === 'number' ? `feature ${name}` : name}: cannot merge ${from.kind} with ` +
      `${from.counts.length} cells into ${into.kind} with ${into.counts.length}`,
  );
}
