import type { NumericSketch } from '../../protocol/sketch/histogram.ts';
import { emptyNumeric } from '../../protocol/sketch/histogram.ts';
import type { TensorSketch } from '../../protocol/sketch/tensor-sketch.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { benjaminiHochberg } from '../../protocol/statistics/benjamini-hochberg.ts';
import { compareTensor, type TensorDrift } from '../../protocol/statistics/tensor-drift.ts';
import type { MonitorShape } from '../decide/drift-monitor.ts';
import {
  type Compared,
  FALSE_DISCOVERY_RATE,
  type FeatureView,
  featureViews,
  MIN_ROWS,
  type Verdict,
} from './feature-view.ts';

/** Effects below which a change of a tensor is not worth attention: the floors of a feature's debiased PSI. */
const FLOORS = [
  ['alert', 0.1],
  ['watch', 0.05],
] as const;

/** A watched tensor of a period, image or embedding, against the version's baseline. */
export interface TensorView {
  readonly name: string;
  readonly verdict: Verdict;
  /** Rows that were looked at and finite. */
  readonly rows: { readonly reference: number; readonly current: number };
  /** The largest of the parts, in units of a feature's debiased PSI. */
  readonly effect: number;
  /** Of the whole cloud of rows: MMD² over the scatter of the baseline. */
  readonly cloud: number;
  /** Debiased PSI of which centroid is nearest. */
  readonly centroids: number;
  readonly pValue: number;
  readonly logP: number;
  /** Benjamini–Hochberg over the tensors of this answer. */
  readonly adjustedP: number;
  /** What is measured on a row (brightness, norm, reconstruction error, …), each as a numeric feature. */
  readonly measures: readonly FeatureView[];
}

/** The tensors that a version watches, with both sides; none without a baseline. */
export interface ComparedTensor {
  readonly name: string;
  readonly drift: TensorDrift;
  readonly measures: readonly Compared[];
}

/** @throws SketchError `shape` when the sketches were not counted on the same cells */
export function comparedTensors(
  { reference, tensors = [] }: MonitorShape,
  window: WindowSketch,
): readonly ComparedTensor[] {
  if (reference === null) return [];
  return tensors.flatMap((watch, at) => {
    const before = reference.tensors[at];
    const now = window.tensors[at];
    if (before === undefined || now === undefined) return [];
    const measures = watch.measures.map(({ name, grid }, k): Compared => {
      const numeric = { kind: 'numeric' as const, ...grid };
      const side = (sketch: TensorSketch): NumericSketch =>
        sketch.measures[k] ?? emptyNumeric(grid);
      return { name, grid: numeric, reference: side(before), current: side(now) };
    });
    return [{ name: watch.name, drift: compareTensor(before, now, watch), measures }];
  });
}

/** All of them at once, because a verdict depends on how many were tested. @throws SketchError `shape` */
export function tensorViews(compared: readonly ComparedTensor[]): readonly TensorView[] {
  const adjusted = benjaminiHochberg(compared.map(({ drift }) => Math.exp(drift.logP)));
  return compared.map(({ name, drift, measures }, at) => ({
    name,
    verdict: verdictOf(drift, adjusted[at]),
    rows: drift.rows,
    effect: drift.effect,
    cloud: drift.cloud,
    centroids: drift.centroids.psiDebiased,
    pValue: Math.exp(drift.logP),
    logP: Math.max(drift.logP, -Number.MAX_VALUE),
    adjustedP: adjusted[at],
    measures: featureViews(measures),
  }));
}

function verdictOf({ rows, effect }: TensorDrift, adjustedP: number): Verdict {
  if (Math.min(rows.reference, rows.current) < MIN_ROWS) return 'insufficient';
  if (adjustedP > FALSE_DISCOVERY_RATE) return 'ok';
  return FLOORS.find(([, floor]) => effect >= floor)?.[0] ?? 'ok';
}
