import { basename } from 'node:path';
import { plotOf } from '../report/plot.ts';
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
    const plot = plotOf(counted.grid, counted.reference, counted.current);
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
    psiInterval: { low: 0, high: 0 },
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
    intervals: null,
    plot: null,
    points: [],
  };
}
