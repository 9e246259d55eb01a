import type { FeatureView } from '../reading/feature-view.ts';
import type { ReportKind } from '../report/report-data.ts';

/** A column that was compared. Text is compared by its length in UTF-16 code units. */
export interface ComparedFeature extends Omit<FeatureView, 'kind'> {
  readonly kind: ReportKind;
  readonly reason: null;
}

/** A column that both sides have and that says nothing about drift, with the reason. */
export interface SkippedFeature {
  readonly name: string;
  readonly kind: ReportKind;
  readonly verdict: 'insufficient';
  readonly reason: string;
  readonly psi: null;
  readonly ks: null;
  readonly wasserstein: null;
  readonly js: null;
  readonly pValue: null;
}

export type FeatureResult = ComparedFeature | SkippedFeature;

export function skippedFeature(name: string, kind: ReportKind, reason: string): SkippedFeature {
  return {
    name,
    kind,
    verdict: 'insufficient',
    reason,
    psi: null,
    ks: null,
    wasserstein: null,
    js: null,
    pValue: null,
  };
}
