import type { FeatureReport, Plot, ReportData } from '../../control-plane/report/report-data.ts';

const START = 1_800_000_000_000;

const histogram: Plot = {
  kind: 'histogram',
  bins: Array.from({ length: 40 }, (_, k) => ({
    low: k,
    high: k + 1,
    reference: 1 / 40,
    current: k < 20 ? 0.01 : 0.03,
  })),
  below: { reference: 0, current: 0.05 },
  above: { reference: 0, current: 0.15 },
  note: 'Counted on quantile bins.',
};

export const bars = (labels: readonly string[]): Plot => ({
  kind: 'bars',
  bars: labels.map((label) => ({
    label,
    reference: 1 / labels.length,
    current: 1 / labels.length,
  })),
});

/** A feature that drifted, with `points` points; `change` replaces what a test is about. */
export function feature(
  name: string,
  change: Partial<FeatureReport> = {},
  points = 3,
): FeatureReport {
  return {
    name,
    kind: 'numeric',
    verdict: 'alert',
    rows: { reference: 1500, current: 4321 },
    psi: 0.32,
    debiasedPsi: 0.31,
    psiInterval: { low: 0.26, high: 0.38 },
    ksInterval: { low: 0.15, high: 0.25 },
    wassersteinInterval: { low: 0.4, high: 0.5 },
    jsInterval: { low: 0.2, high: 0.24 },
    lInfinityInterval: { low: 0.1, high: 0.2 },
    ks: 0.2,
    wasserstein: 0.45,
    js: 0.22,
    lInfinity: 0.15,
    pValue: 0,
    logP: -900,
    adjustedP: 1e-200,
    missing: { reference: 0, current: 0.02, low: 0.016, high: 0.025 },
    unseen: { reference: 0, current: 0, low: 0, high: 0.001 },
    outOfRange: { reference: 0, current: 0.2, low: 0.19, high: 0.21 },
    mean: { reference: 1, current: 2, low: 1.9, high: 2.1 },
    sigma: { reference: 1, current: 1.1 },
    reason: null,
    plot: histogram,
    points: Array.from({ length: points }, (_, at) => ({
      startMs: START + at * 60_000,
      rows: at === 1 ? 0 : 100,
      debiasedPsi: Math.abs(Math.sin(at * 7.3)) * 0.3,
      wasserstein: 0.3,
      missing: Math.abs(Math.sin(at * 3.1)) * 0.02,
    })),
    ...change,
  };
}

export function reportData(change: Partial<ReportData> = {}): ReportData {
  return {
    title: 'loans',
    subtitle: 'mortgage@1 against its baseline',
    madeAtMs: START + 3_600_000,
    period: { fromMs: START, toMs: START + 3_600_000 },
    sides: { reference: { name: 'baseline', rows: 1500 }, current: { name: 'loans', rows: 4321 } },
    verdict: 'alert',
    features: [feature('income')],
    prediction: null,
    tensors: [],
    fairness: null,
    performance: null,
    operations: null,
    notes: [],
    ...change,
  };
}

const rate = (value: number, trials = 1000) => ({
  value,
  trials,
  low: Math.max(0, value - 0.02),
  high: Math.min(1, value + 0.02),
});

export const fairness: NonNullable<ReportData['fairness']> = [
  {
    attribute: 'sex',
    verdict: 'violates',
    reference: 'sex=M',
    groups: ['M', 'F', 'X'].map((name, at) => ({
      group: `sex=${name}`,
      rows: [3000, 1000, 40][at],
      labelled: 900,
      completeness: 0.9,
      small: at === 2,
      selectionRate: rate([0.6, 0.3, 0.5][at]),
      truePositiveRate: rate(0.7),
      falsePositiveRate: at === 2 ? null : rate(0.1),
      positivePredictiveValue: rate(0.8),
      calibrationGap: 0.01,
    })),
    metrics: {
      demographicParityDifference: 0.3,
      demographicParityRatio: 0.5,
      equalOpportunityDifference: 0,
      equalOpportunityRatio: 1,
      equalizedOddsDifference: 0,
      equalizedOddsRatio: 1,
      averageOddsDifference: 0,
      predictiveParityDifference: 0,
      calibrationDifference: 0,
    },
    ratioVerdict: 'violates',
    gaps: [
      {
        rate: 'selectionRate',
        group: 'sex=F',
        against: 'sex=M',
        difference: -0.3,
        interval: { low: -0.33, high: -0.27 },
        sequence: { low: -0.36, high: -0.24 },
        verdict: 'violates',
        rowsNeeded: null,
      },
      {
        rate: 'truePositiveRate',
        group: 'sex=F',
        against: 'sex=M',
        difference: 0.01,
        interval: { low: -0.1, high: 0.12 },
        sequence: null,
        verdict: 'insufficient',
        rowsNeeded: 431,
      },
    ],
  },
];

const binary = (accuracy: number) => ({
  kind: 'binary' as const,
  accuracy: rate(accuracy, 4000),
  precision: rate(0.7),
  recall: rate(0.6),
  falsePositiveRate: rate(0.1),
  f1: 0.646,
  auc: { value: 0.81, low: 0.79, high: 0.83 },
  calibrationError: 0.03,
  accuracyBounds: { low: 0.613, high: 0.871 },
});

export const performance: NonNullable<ReportData['performance']> = {
  labels: {
    predictions: 4321,
    labelled: 3240,
    completeness: 0.75,
    duplicate: 2,
    conflicting: 1,
    delayMs: { p50: 90_000, p95: 7_200_000 },
  },
  realised: binary(0.8),
  estimated: {
    estimate: {
      rows: 4321,
      accuracy: 0.83,
      halfWidth: 0.011,
      precision: 0.72,
      recall: 0.61,
      auc: 0.84,
    },
    trust: 0.7,
    calibratedOn: 'baseline',
    unseen: null,
  },
  baseline: binary(0.9),
  points: [0, 1, 2].map((at) => ({
    startMs: START + at * 60_000,
    completeness: 0.7,
    realised: rate(0.8),
    meanAbsoluteError: null,
    estimated: 0.82,
  })),
};

export const operations: NonNullable<ReportData['operations']> = {
  requests: 1000,
  rows: 4321,
  requestsPerSecond: 0.28,
  errorRate: rate(0),
  nonFiniteRate: rate(0),
  latencyUs: { p50: 900, p95: 2100, p99: 4300 },
  cost: {
    computeUs: 1e6,
    priceMicros: 2e6,
    idleMicros: 1e6,
    energyJ: 12,
    computeUsPerRow: 230,
    priceMicrosPerThousandRows: 460_000,
  },
  evaluators: [{ name: 'toxicity', scored: 100, failed: 1, mean: 0.2, flagged: rate(0.05, 100) }],
};
