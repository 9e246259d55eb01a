import { basename } from 'node:path';
import { featurePlot } from '../reading/feature-plot.ts';
import type { FeatureReport, ReportData } from '../report/report-data.ts';
import type { FeatureResult } from './feature-result.ts';
import type { Outcome } from './outcome.ts';

/** What a page shows of two files. */
export function reportData(
  { report, compared }: Outcome,
  reference: string,
  current: string,
  madeAtMs: number,
): ReportData {
  const [before, now] = [basename(reference), basename(current)];
  return {
    title: now,
    subtitle: `${now} against ${before}`,
    madeAtMs,
    period: null,
    sides: {
      reference: { name: before, rows: report.rows.reference },
      current: { name: now, rows: report.rows.current },
    },
    verdict: report.verdict,
    features: report.features.map((feature) => featureReport(feature, report.rows, compared)),
    prediction: null,
    tensors: [],
    fairness: null,
    performance: null,
    operations: null,
    notes: report.notes,
  };
}

function featureReport(
  feature: FeatureResult,
  rows: FeatureReport['rows'],
  compared: Outcome['compared'],
): FeatureReport {
  const counted = compared.get(feature.name);
  if (feature.reason === null && counted !== undefined) {
    const plot = featurePlot(counted.reference, counted.current, counted.grid);
    return { ...feature, plot, points: [] };
  }
  const nothing = { low: 0, high: 0, reference: 0, current: 0 };
  return {
    name: feature.name,
    kind: feature.kind,
    verdict: feature.verdict,
    reason: feature.reason,
    rows,
    psi: 0,
    debiasedPsi: 0,
    psiInterval: null,
    ksInterval: null,
    wassersteinInterval: null,
    jsInterval: null,
    lInfinityInterval: null,
    ks: null,
    wasserstein: null,
    js: 0,
    lInfinity: 0,
    pValue: 1,
    logP: 0,
    adjustedP: 1,
    missing: nothing,
    unseen: nothing,
    mean: null,
    sigma: null,
    plot: null,
    points: [],
  };
}
