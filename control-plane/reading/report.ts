import type { FeatureSketch, WindowSketch } from '../../protocol/sketch/window.ts';
import { wilsonInterval } from '../../protocol/statistics/wilson.ts';
import type { MonitorShape } from '../decide/drift-monitor.ts';
import type { MonitoringView } from '../http/monitoring-view.ts';
import type { FeatureReport, ReportData, TensorReport } from '../report/report-data.ts';
import { featurePlot } from './feature-plot.ts';
import type { RateView } from './feature-view.ts';
import { type ComparedAt, comparedOf } from './period-view.ts';
import type { MonitoringQuery } from './query.ts';
import type { Period } from './resolution.ts';
import { comparedTensors } from './tensor-view.ts';

export type Judged = Pick<
  MonitoringView,
  | 'verdict'
  | 'features'
  | 'prediction'
  | 'tensors'
  | 'operations'
  | 'fairness'
  | 'performance'
  | 'hosts'
  | 'skipped'
>;

/** A period folded and judged, and what it was judged on. */
export interface JudgedPeriod {
  readonly judged: Judged;
  readonly shape: MonitorShape;
  /** Indices of the features that were asked for. */
  readonly features: readonly number[];
  readonly total: WindowSketch;
}

export interface ReportedPeriod extends JudgedPeriod {
  readonly deployment: string;
  readonly model: string;
  readonly version: number;
  readonly period: Period;
  readonly query: MonitoringQuery;
  readonly now: number;
}

/** All that a report of a deployment shows. */
export function reportOf(reported: ReportedPeriod): ReportData {
  const { judged, shape, features, total, deployment, model, version, period } = reported;
  const compared = comparedOf(shape, features, total);
  const reports = compared.flatMap((one): { at: ComparedAt['at']; report: FeatureReport }[] => {
    const isPrediction = one.at === 'prediction';
    const view = isPrediction
      ? judged.prediction
      : judged.features?.find(({ name }) => name === one.name);
    return view == null ? [] : [{ at: one.at, report: featureReport(one, view) }];
  });
  const referenceRows = shape.reference?.rows ?? 0;
  return {
    title: deployment,
    subtitle: `${model}@${version} against its baseline`,
    madeAtMs: reported.now,
    period: { fromMs: period.fromMs, toMs: period.toMs },
    sides: {
      reference: { name: `baseline of ${model}@${version}`, rows: referenceRows },
      current: { name: deployment, rows: total.rows },
    },
    verdict: judged.verdict ?? 'insufficient',
    features: reports.flatMap(({ at, report }) => (at === 'prediction' ? [] : [report])),
    prediction: reports.find(({ at }) => at === 'prediction')?.report ?? null,
    tensors: tensorReports(reported),
    fairness: judged.fairness,
    performance: judged.performance,
    operations: judged.operations,
    notes: notesOf(reported),
  };
}

function tensorReports({ judged, shape, total }: ReportedPeriod): readonly TensorReport[] {
  const compared = new Map(comparedTensors(shape, total).map((one) => [one.name, one.measures]));
  return (judged.tensors ?? []).map((tensor) => ({
    ...tensor,
    measures: tensor.measures.map((view, at) => {
      const one = compared.get(tensor.name)?.[at];
      const plot = one === undefined ? null : featurePlot(one.reference, one.current, one.grid);
      return { ...view, name: `${tensor.name}: ${view.name}`, reason: null, plot, points: [] };
    }),
  }));
}

function featureReport(
  one: ComparedAt,
  view: NonNullable<MonitoringView['prediction']>,
): FeatureReport {
  const { reference, current, grid } = one;
  return {
    ...view,
    reason: null,
    plot: featurePlot(reference, current, grid),
    outOfRange: outOfRange(reference, current),
  };
}

/**
 * Rows in the two outer bins, which a grid made of a reference keeps for what the reference had not. Null where the
 * reference has rows there (scores on uniform bins) and for what has no order.
 */
function outOfRange(reference: FeatureSketch, current: FeatureSketch): RateView | null {
  if (reference.kind !== 'numeric' || current.kind !== 'numeric') return null;
  const outer = ({ counts }: FeatureSketch) => counts[0] + counts[counts.length - 1];
  if (reference.counts.length < 2 || outer(reference) > 0) return null;
  const rows = current.counts.reduce((sum, count) => sum + count, current.missing);
  const all = rows + current.nonFinite;
  const hits = outer(current);
  return { reference: 0, current: all === 0 ? 0 : hits / all, ...wilsonInterval(hits, all) };
}

/** What a reader has to know to read the figures as they are meant. */
function notesOf({ judged, shape, query, period, features }: ReportedPeriod): readonly string[] {
  const only = [
    query.agent === undefined ? null : `hosts ${query.agent.join(', ')}`,
    query.label === undefined ? null : `hosts with ${query.label.join(', ')}`,
    query.arm === undefined ? null : `arm ${query.arm}`,
  ].filter((part) => part !== null);
  const left = shape.features.length - features.length;
  return [
    `One point of a chart is ${period.stepMs / 1000} s of windows, added up exactly.`,
    ...(only.length === 0 ? [] : [`Only ${only.join('; ')}.`]),
    ...(left === 0 ? [] : [`${left} features were not asked for and are not in this report.`]),
    ...(shape.reference === null
      ? ['This version was pushed without a baseline: there is nothing to compare inputs with.']
      : []),
    ...(judged.skipped === 0
      ? []
      : [`${judged.skipped} stored windows could not be read and are not counted.`]),
  ];
}
