import {
  emptyFeature,
  type FeatureGrid,
  type FeatureSketch,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';
import { estimatePerformance } from '../../protocol/statistics/cbpe.ts';
import { compareFeature } from '../../protocol/statistics/drift.ts';
import { type IsotonicMap, isotonicMap } from '../../protocol/statistics/isotonic.ts';
import { scoreBins } from '../../protocol/statistics/score-bins.ts';
import type { MonitorShape } from '../decide/drift-monitor.ts';
import { unseenRegion } from '../decide/unseen-region.ts';
import { ControlError } from '../error.ts';
import type { MonitoringView } from '../http/monitoring-view.ts';
import { decompose } from './decomposition.ts';
import { DEFAULT_LIMITS, type FairnessLimits, fairnessViews } from './fairness-view.ts';
import { type Compared, featureViews, worstVerdict } from './feature-view.ts';
import type { PeriodTotals } from './fold-period.ts';
import { groupCounts } from './group-counts.ts';
import { operationsView } from './operations-view.ts';
import { performanceView } from './performance-view.ts';
import type { Section } from './query.ts';
import { comparedTensors, tensorViews } from './tensor-view.ts';

type Points = NonNullable<MonitoringView['prediction']>['points'][number][];
type TensorPoint = NonNullable<MonitoringView['tensors']>[number]['points'][number];
type PerformancePoint = NonNullable<MonitoringView['performance']>['points'][number];

/** Feature points of one answer: at some 100 bytes each, 10 MB of JSON. */
export const MAX_FEATURE_POINTS = 100_000;

/** Indices of the features asked for; all without a filter. Throws `ControlError` 'invalid' on an unknown name. */
export function wantedFeatures(
  shape: MonitorShape,
  names: readonly string[] | undefined,
): readonly number[] {
  if (names === undefined) return shape.features.map((_, at) => at);
  return [...new Set(names)].map((name) => {
    const at = shape.features.indexOf(name);
    if (at !== -1) return at;
    const known = shape.features.slice(0, 20).join(', ') || 'none with a baseline';
    throw new ControlError('invalid', `no feature "${name}"; watched are: ${known}`);
  });
}

/** Gathers points while a period is folded, and says what it all means at the end. Mutable, used once. */
export class PeriodView {
  readonly #shape: MonitorShape;
  readonly #features: readonly number[];
  readonly #wanted: ReadonlySet<Section>;
  readonly #groups: readonly string[] | null;
  readonly #limits: FairnessLimits;
  readonly #points = new Map<number | 'prediction', Points>();
  readonly #tensorPoints = new Map<string, TensorPoint[]>();
  readonly #performance: PerformancePoint[] = [];
  readonly #map: IsotonicMap | null;
  #count = 0;

  constructor(
    shape: MonitorShape,
    features: readonly number[],
    wanted: ReadonlySet<Section>,
    groups: readonly string[] | null,
    limits: FairnessLimits = DEFAULT_LIMITS,
  ) {
    this.#limits = limits;
    this.#shape = shape;
    this.#features = features;
    this.#wanted = wanted;
    this.#groups = groups;
    const outcome = shape.reference?.outcome ?? null;
    this.#map = outcome === null ? null : isotonicMap(scoreBins(outcome.scores));
  }

  /** Throws `ControlError` 'invalid' above MAX_FEATURE_POINTS. */
  addPoint(startMs: number, window: WindowSketch): void {
    if (this.#wanted.has('features')) this.#addFeatures(startMs, window);
    if (this.#wanted.has('performance')) this.#addPerformance(startMs, window);
  }

  sections(total: WindowSketch, spanMs: number) {
    const features = this.#wanted.has('features') ? this.#featureSection(total) : null;
    return {
      verdict: features?.verdict ?? null,
      features: features?.features ?? null,
      prediction: features?.prediction ?? null,
      tensors: features?.tensors ?? null,
      operations: this.#wanted.has('operations') ? operationsView(total, spanMs) : null,
      fairness: this.#fairness(total),
      performance: this.#performanceSection(total),
    };
  }

  #addFeatures(startMs: number, window: WindowSketch): void {
    const { reference } = this.#shape;
    if (reference === null) return;
    this.#count += this.#features.length + 1;
    if (this.#count > MAX_FEATURE_POINTS) {
      throw new ControlError(
        'invalid',
        `more than ${MAX_FEATURE_POINTS} points of features: ask for a coarser resolution, a shorter span or fewer features`,
      );
    }
    for (const one of comparedOf(this.#shape, this.#features, window)) {
      const measure = compareFeature(one.reference, one.current, one.grid);
      const points = this.#points.get(one.at) ?? [];
      this.#points.set(one.at, points);
      points.push({
        startMs,
        rows: measure.rows.current,
        debiasedPsi: measure.psiDebiased,
        wasserstein: measure.wasserstein,
        missing: measure.missingRate.current,
      });
    }
    for (const { name, drift } of comparedTensors(this.#shape, window)) {
      const points = this.#tensorPoints.get(name) ?? [];
      this.#tensorPoints.set(name, points);
      points.push({ startMs, rows: drift.rows.current, effect: drift.effect });
    }
  }

  #addPerformance(startMs: number, window: WindowSketch): void {
    const { outcome } = window;
    if (outcome === null) return;
    const { labels, realised } = performanceView(outcome, null, null);
    const isGuess = unseenRegion(this.#shape, window) !== null;
    const estimate = isGuess ? null : estimatePerformance(scoreBins(outcome.scores), this.#map);
    this.#performance.push({
      startMs,
      completeness: labels.completeness,
      realised: realised === null || realised.kind === 'regression' ? null : realised.accuracy,
      meanAbsoluteError: realised?.kind === 'regression' ? realised.meanAbsoluteError : null,
      estimated: estimate?.accuracy ?? null,
    });
  }

  #featureSection(total: WindowSketch) {
    const compared = comparedOf(this.#shape, this.#features, total);
    const views = featureViews(compared).map((view, at) => ({
      at: compared[at].at,
      view: { ...view, points: this.#points.get(compared[at].at) ?? [] },
    }));
    const tensors = tensorViews(comparedTensors(this.#shape, total)).map((view) => ({
      ...view,
      points: this.#tensorPoints.get(view.name) ?? [],
    }));
    const verdicts = [...views.map(({ view }) => view.verdict), ...tensors.map((t) => t.verdict)];
    return {
      verdict: worstVerdict(verdicts),
      tensors,
      features: views.flatMap(({ at, view }) => (at === 'prediction' ? [] : [view])),
      prediction: views.find(({ at }) => at === 'prediction')?.view ?? null,
    };
  }

  #fairness({ outcome }: WindowSketch) {
    const grid = this.#shape.grids.outcome ?? null;
    if (!this.#wanted.has('fairness') || outcome === null || grid === null) return null;
    const views = fairnessViews(groupCounts(grid, outcome), this.#limits);
    const groups = this.#groups;
    if (groups === null) return views;
    const known = new Set(views.map(({ attribute }) => attribute));
    const unknown = groups.find((name) => !known.has(name));
    if (unknown !== undefined) {
      const names = [...known].join(', ') || 'none';
      throw new ControlError('invalid', `no group "${unknown}" was seen; there are: ${names}`);
    }
    return views.filter(({ attribute }) => groups.includes(attribute));
  }

  #performanceSection(total: WindowSketch): MonitoringView['performance'] {
    const { outcome } = total;
    if (!this.#wanted.has('performance') || outcome === null) return null;
    const baseline = this.#shape.reference?.outcome ?? null;
    const unseen = unseenRegion(this.#shape, total);
    const view = performanceView(outcome, baseline, this.#map, unseen);
    return { ...view, points: this.#performance };
  }
}

/** Mix against within for each feature asked for, and the prediction; what moved most stands first. */
export function hostsSection(
  shape: MonitorShape,
  features: readonly number[],
  before: PeriodTotals,
  now: PeriodTotals,
): NonNullable<MonitoringView['hosts']> {
  const grids = shape.grids;
  const hosts = [...new Set([...before.hosts.keys(), ...now.hosts.keys()])];
  const places: readonly (number | 'prediction')[] = shape.predicts
    ? [...features, 'prediction']
    : features;
  return places
    .flatMap((at) => {
      const grid = at === 'prediction' ? grids.prediction : grids.features[at];
      const shares = hosts.map((host) => ({
        host,
        before: sketchAt(before.hosts.get(host), at, grid),
        now: sketchAt(now.hosts.get(host), at, grid),
      }));
      const parts = decompose(shares);
      return parts === null ? [] : [{ name: nameAt(shape, at), ...parts }];
    })
    .sort((a, b) => b.total - a.total);
}

export interface ComparedAt extends Compared {
  readonly at: number | 'prediction';
}

/** Each feature asked for, then the prediction, with both sides; nothing without a baseline. */
export function comparedOf(
  shape: MonitorShape,
  features: readonly number[],
  window: WindowSketch,
): readonly ComparedAt[] {
  const { reference, grids } = shape;
  if (reference === null) return [];
  const places: readonly (number | 'prediction')[] = shape.predicts
    ? [...features, 'prediction']
    : features;
  return places.map((at) => ({
    at,
    name: nameAt(shape, at),
    grid: at === 'prediction' ? grids.prediction : grids.features[at],
    reference: at === 'prediction' ? reference.prediction : reference.features[at],
    current: at === 'prediction' ? window.prediction : window.features[at],
  }));
}

function nameAt(shape: MonitorShape, at: number | 'prediction'): string {
  return at === 'prediction' ? 'prediction' : shape.features[at];
}

function sketchAt(
  window: WindowSketch | undefined,
  at: number | 'prediction',
  grid: FeatureGrid,
): FeatureSketch {
  if (window === undefined) return emptyFeature(grid);
  return at === 'prediction' ? window.prediction : window.features[at];
}
