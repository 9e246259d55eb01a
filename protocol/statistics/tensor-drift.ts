import type { NumericSketch } from '../sketch/histogram.ts';
import type { TensorGrid, TensorSketch } from '../sketch/tensor-sketch.ts';
import { chiSquare, chiSquareLogSurvival } from './chi-square.ts';
import { compareFeature, type DriftMeasure, type Sides } from './drift.ts';
import { logEValue } from './e-value.ts';
import { jensenShannon } from './jensen-shannon.ts';
import { debiasedPsi } from './psi.ts';
import { type FourierSpread, type FourierTest, finiteRows, fourierTest } from './tensor-fourier.ts';

/** What of a watched tensor its comparison needs. */
export interface TensorWatch {
  readonly measures: TensorGrid['measures'];
  readonly fourier: { readonly spread: FourierSpread };
}

export interface MeasureDrift {
  readonly name: string;
  readonly drift: DriftMeasure;
  /** Difference of the means in reference standard deviations; 0 for a reference that never varies. */
  readonly shift: number;
  /** ln of the p-value of the bins and of the means together. */
  readonly logP: number;
}

/**
 * How far a tensor moved from its reference. Its parts find different things: `fourier` a shift of the whole cloud or
 * of a cluster's place, `centroids` a change of the mix, the measure `reconstruction` what lies where the reference
 * never was (`research/monitoring.md` 3.5).
 */
export interface TensorDrift {
  /** Rows that were looked at. */
  readonly rows: Sides;
  readonly fourier: FourierTest;
  /** MMD² over the scatter of the reference. */
  readonly cloud: number;
  readonly centroids: {
    readonly psiDebiased: number;
    readonly jensenShannon: number;
    readonly logP: number;
  };
  readonly measures: readonly MeasureDrift[];
  /** ln of the harmonic mean of the parts' p-values, at most 0. */
  readonly logP: number;
  /** ln of the mean of the parts' e-values: an e-value however the parts depend on each other. */
  readonly logE: number;
  /**
   * Size of the change, comparable with the debiased PSI of a feature and its floors: the largest debiased PSI of the
   * measures and the centroids, and MMD² over the scatter of the reference. A shift of every coordinate by s reference
   * deviations gives the latter about s², as it gives the PSI of one feature.
   */
  readonly effect: number;
}

/** @throws SketchError `shape` when the sketches were not counted on the same cells */
export function compareTensor(
  reference: TensorSketch,
  current: TensorSketch,
  watch: TensorWatch,
): TensorDrift {
  const { spread } = watch.fourier;
  const fourier = fourierTest(reference, current, spread);
  const { centroidCounts: before } = reference;
  const { centroidCounts: now } = current;
  const centroids = {
    psiDebiased: debiasedPsi(before, now),
    jensenShannon: jensenShannon(before, now),
    logP: chiSquare(before, now).logP,
  };
  const measures = watch.measures.map(({ name, grid }, at) =>
    compareMeasure(name, reference.measures[at], current.measures[at], grid),
  );
  const parts = [fourier.logP, centroids.logP, ...measures.map(({ logP }) => logP)];
  const psis = measures.map(({ drift }) => drift.psiDebiased);
  const cloud = fourier.mmd2 / spread.trace;
  return {
    rows: { reference: finiteRows(reference), current: finiteRows(current) },
    ...{ fourier, cloud, centroids, measures },
    logP: logHarmonicMean(parts),
    logE: logMean(parts.map(logEValue)),
    effect: Math.max(cloud, centroids.psiDebiased, ...psis),
  };
}

/**
 * The bins and the means of a measure, Bonferroni for the two. The bins alone find 5 % of rows from a new cluster in
 * 57 % of the windows of 500 in which the means find them in 94 % (p = 0.01).
 */
function compareMeasure(
  name: string,
  reference: NumericSketch,
  current: NumericSketch,
  grid: TensorGrid['measures'][number]['grid'],
): MeasureDrift {
  const drift = compareFeature(reference, current, { kind: 'numeric', ...grid });
  const { count: m, mean: before, m2: scatter } = reference.moments;
  const { count: n, mean: now, m2: others } = current.moments;
  const sigma = m > 0 ? Math.sqrt(scatter / m) : 0;
  const variance = m + n > 0 ? (scatter + others) / (m + n) : 0;
  const z2 =
    m > 0 && n > 0 && variance > 0 ? (now - before) ** 2 / (variance * (1 / m + 1 / n)) : 0;
  const logP = Math.min(0, Math.log(2) + Math.min(drift.logP, chiSquareLogSurvival(z2, 1)));
  return { name, drift, shift: sigma > 0 && n > 0 ? (now - before) / sigma : 0, logP };
}

/**
 * ln of k / Σ (1 / p): a p-value, nearly exactly so where small, for parts that depend on each other (Wilson 2019,
 * "The harmonic mean p-value for combining dependent tests").
 */
export function logHarmonicMean(logPs: readonly number[]): number {
  return Math.min(0, -logMean(logPs.map((logP) => -logP)));
}

/** ln of the mean of exp(x), without overflow. */
function logMean(values: readonly number[]): number {
  const largest = Math.max(...values);
  if (!Number.isFinite(largest)) return largest;
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
  return largest + Math.log(sum / values.length);
}
