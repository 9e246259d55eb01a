import { variance } from '../../protocol/sketch/moments.ts';
import type { FeatureGrid, FeatureSketch } from '../../protocol/sketch/window.ts';
import { benjaminiHochberg } from '../../protocol/statistics/benjamini-hochberg.ts';
import { compareFeature, type DriftMeasure } from '../../protocol/statistics/drift.ts';
import { driftIntervals } from '../../protocol/statistics/drift-interval.ts';
import { type Interval, wilsonInterval, Z_95 } from '../../protocol/statistics/wilson.ts';

export type Verdict = 'ok' | 'watch' | 'alert' | 'insufficient';

/** Fewer rows can't tell drift from chance (`research/monitoring.md` (iii) D, n_min). */
export const MIN_ROWS = 200;

/** False discovery rate over the features of one answer. */
export const FALSE_DISCOVERY_RATE = 0.01;

/** Effects below which drift is not worth attention, however certain ((iii) C4): debiased PSI in nats, W1 in σ. */
const FLOORS = [
  ['alert', { psi: 0.1, wasserstein: 0.2 }],
  ['watch', { psi: 0.05, wasserstein: 0.1 }],
] as const;

export interface RateView extends Interval {
  readonly reference: number;
  readonly current: number;
}

/** One feature, or the prediction, of a period against the version's baseline. */
export interface FeatureView {
  readonly name: string;
  readonly kind: FeatureSketch['kind'];
  readonly verdict: Verdict;
  readonly rows: { readonly reference: number; readonly current: number };
  readonly psi: number;
  readonly debiasedPsi: number;
  /** 95 % intervals of the distances between the distributions behind the rows; null where there is no such distance. */
  readonly psiInterval: Interval | null;
  readonly ksInterval: Interval | null;
  readonly wassersteinInterval: Interval | null;
  readonly jsInterval: Interval | null;
  readonly lInfinityInterval: Interval | null;
  readonly ks: number | null;
  /** In reference σ. */
  readonly wasserstein: number | null;
  /** Distance, base 2. */
  readonly js: number;
  readonly lInfinity: number;
  /** Chi-square test of homogeneity; 0 below 1e-308, where `logP` still tells. */
  readonly pValue: number;
  readonly logP: number;
  /** Benjamini–Hochberg over the features of this answer. */
  readonly adjustedP: number;
  /** With a 95 % Wilson interval of the current rate. */
  readonly missing: RateView;
  readonly unseen: RateView;
  /** Numeric only: mean with a 95 % interval, and σ. */
  readonly mean: ({ readonly reference: number; readonly current: number } & Interval) | null;
  readonly sigma: { readonly reference: number; readonly current: number } | null;
}

export interface Compared {
  readonly name: string;
  readonly grid: FeatureGrid;
  readonly reference: FeatureSketch;
  readonly current: FeatureSketch;
}

/**
 * All features of a period at once, because a verdict depends on how many were tested: `alert` and `watch` ask for
 * BH-adjusted p ≤ FALSE_DISCOVERY_RATE and for an effect at the floor; `insufficient` below MIN_ROWS on either side.
 *
 * @throws SketchError `shape` when sketches and grids differ
 */
export function featureViews(compared: readonly Compared[]): readonly FeatureView[] {
  const measures = compared.map((one) => compareFeature(one.reference, one.current, one.grid));
  const adjusted = benjaminiHochberg(measures.map((measure) => Math.exp(measure.logP)));
  return compared.map((one, at) => viewOf(one, measures[at], adjusted[at]));
}

/** The loudest of many; one that is fine doesn't hide one that isn't. */
export function worstVerdict(verdicts: readonly Verdict[]): Verdict {
  const order: readonly Verdict[] = ['alert', 'watch', 'ok'];
  return order.find((verdict) => verdicts.includes(verdict)) ?? 'insufficient';
}

function viewOf(one: Compared, measure: DriftMeasure, adjustedP: number): FeatureView {
  const { rows } = measure;
  const intervals = driftIntervals(one.reference, one.current, one.grid);
  return {
    name: one.name,
    kind: one.current.kind,
    verdict: verdictOf(measure, adjustedP),
    rows,
    psi: measure.psi,
    debiasedPsi: measure.psiDebiased,
    psiInterval: intervals.psi,
    ksInterval: intervals.ks,
    wassersteinInterval: intervals.wasserstein,
    jsInterval: intervals.jensenShannon,
    lInfinityInterval: intervals.lInfinity,
    ks: measure.ks,
    wasserstein: measure.wasserstein,
    js: measure.jensenShannon,
    lInfinity: measure.lInfinity,
    pValue: Math.exp(measure.logP),
    logP: Math.max(measure.logP, -Number.MAX_VALUE),
    adjustedP,
    missing: rateView(measure.missingRate, rows.current),
    unseen: rateView(measure.unseenRate, rows.current),
    ...momentsView(one),
  };
}

function verdictOf(measure: DriftMeasure, adjustedP: number): Verdict {
  if (Math.min(measure.rows.reference, measure.rows.current) < MIN_ROWS) return 'insufficient';
  if (adjustedP > FALSE_DISCOVERY_RATE) return 'ok';
  const reached = FLOORS.find(
    ([, floor]) =>
      measure.psiDebiased >= floor.psi || (measure.wasserstein ?? 0) >= floor.wasserstein,
  );
  return reached?.[0] ?? 'ok';
}

function rateView(rate: { reference: number; current: number }, rows: number): RateView {
  const hits = Math.min(rows, Math.round(rate.current * rows));
  return { ...rate, ...wilsonInterval(hits, rows) };
}

function momentsView({ reference, current }: Compared): Pick<FeatureView, 'mean' | 'sigma'> {
  if (reference.kind !== 'numeric' || current.kind !== 'numeric')
    return { mean: null, sigma: null };
  const sigma = {
    reference: Math.sqrt(variance(reference.moments)),
    current: Math.sqrt(variance(current.moments)),
  };
  const { count, mean } = current.moments;
  const half = count === 0 ? 0 : (Z_95 * sigma.current) / Math.sqrt(count);
  return {
    mean: { reference: reference.moments.mean, current: mean, low: mean - half, high: mean + half },
    sigma,
  };
}
