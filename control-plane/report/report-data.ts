import type { MonitoringView } from '../http/monitoring-view.ts';
import type { FeatureView, RateView, Verdict } from '../reading/feature-view.ts';
import type { TensorView } from '../reading/tensor-view.ts';

/** Share of each side's rows, 0 to 1; null bounds are open ends. */
export interface PlotBin {
  readonly low: number;
  readonly high: number;
  readonly reference: number;
  readonly current: number;
}

export interface PlotBar {
  readonly label: string;
  readonly reference: number;
  readonly current: number;
}

/** What a picture of a feature needs: `numericPlot` and `categoryPlot` make it. */
export type Plot =
  /** Bins of equal width; `below` and `above` hold the rows left and right of them. */
  | {
      readonly kind: 'histogram';
      readonly bins: readonly PlotBin[];
      readonly below: { readonly reference: number; readonly current: number };
      readonly above: { readonly reference: number; readonly current: number };
      /** How the bins were come by; shown below the picture. */
      readonly note?: string;
    }
  | { readonly kind: 'bars'; readonly bars: readonly PlotBar[] };

export type ReportKind = 'numeric' | 'categorical' | 'hashed' | 'text' | 'datetime' | 'id';

/** One feature, or the prediction. `points` is empty where there is no time (two files). */
export interface FeatureReport extends Omit<FeatureView, 'kind'> {
  readonly kind: ReportKind;
  /** Why nothing was compared; null where it was. */
  readonly reason: string | null;
  readonly plot: Plot | null;
  /** Below the reference's smallest or above its largest value; absent or null where that is not known. */
  readonly outOfRange?: RateView | null;
  readonly points: NonNullable<MonitoringView['features']>[number]['points'];
}

/** An image or embedding that is watched as a whole; its measures as features without a chart over time. */
export interface TensorReport extends Omit<TensorView, 'measures'> {
  readonly measures: readonly FeatureReport[];
  readonly points: NonNullable<MonitoringView['tensors']>[number]['points'];
}

/** All that a report shows. Plain data: sections that are null are left out. */
export interface ReportData {
  /** Name of the deployment, or of the current file. */
  readonly title: string;
  /** What is compared with what, in words: `mortgage@3 against its baseline`. */
  readonly subtitle: string;
  readonly madeAtMs: number;
  readonly period: { readonly fromMs: number; readonly toMs: number } | null;
  readonly sides: {
    readonly reference: { readonly name: string; readonly rows: number };
    readonly current: { readonly name: string; readonly rows: number };
  };
  readonly verdict: Verdict;
  readonly features: readonly FeatureReport[];
  readonly prediction: FeatureReport | null;
  readonly tensors: readonly TensorReport[];
  readonly fairness: MonitoringView['fairness'];
  readonly performance: MonitoringView['performance'];
  readonly operations: MonitoringView['operations'];
  /** What a reader has to know: columns that one side lacks, windows that were skipped. Plain text. */
  readonly notes: readonly string[];
}
