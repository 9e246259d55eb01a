import { readFileSync } from 'node:fs';
import { binOf, uniformGrid } from '../../../../protocol/sketch/grid.ts';
import { addNumeric, emptyNumeric } from '../../../../protocol/sketch/histogram.ts';
import { aucOf, deLong } from '../../../../protocol/statistics/auc.ts';
import { benjaminiHochberg } from '../../../../protocol/statistics/benjamini-hochberg.ts';
import { calibrationOf } from '../../../../protocol/statistics/calibration.ts';
import { chiSquare } from '../../../../protocol/statistics/chi-square.ts';
import {
  binaryMetrics,
  multiclassMetrics,
} from '../../../../protocol/statistics/classification.ts';
import { Adwin } from '../../../../protocol/statistics/detectors/adwin.ts';
import { Ddm } from '../../../../protocol/statistics/detectors/ddm.ts';
import { Eddm } from '../../../../protocol/statistics/detectors/eddm.ts';
import { Kswin } from '../../../../protocol/statistics/detectors/kswin.ts';
import { PageHinkley } from '../../../../protocol/statistics/detectors/page-hinkley.ts';
import { compareFeature } from '../../../../protocol/statistics/drift.ts';
import {
  fairnessMetrics,
  signedMetrics,
} from '../../../../protocol/statistics/fairness-metrics.ts';
import { calibrated, isotonicMap } from '../../../../protocol/statistics/isotonic.ts';
import { psi } from '../../../../protocol/statistics/psi.ts';
import { regressionMetrics } from '../../../../protocol/statistics/regression.ts';
import { twoProportionTest, Z_95 } from '../../../../protocol/statistics/wilson.ts';
import { firings } from './detectors.ts';

/** The data that stock_statistics.py reads. */
export interface StockData {
  /** Whole numbers, at most 20 different ones. */
  readonly reference: readonly number[];
  readonly current: readonly number[];
  readonly decisions: {
    readonly group: readonly number[];
    readonly score: readonly number[];
    readonly y: readonly number[];
    readonly predicted: readonly number[];
  };
  readonly classes: { readonly y: readonly number[]; readonly predicted: readonly number[] };
  readonly values: { readonly y: readonly number[]; readonly predicted: readonly number[] };
  readonly stream: readonly number[];
  readonly pValues: readonly number[];
  readonly bins: number;
}

/** What it answers: numbers in groups, as `ourAnswer` names them. */
export type StockAnswer = ReturnType<typeof ourAnswer> & {
  readonly versions: Readonly<Record<string, string>>;
};

/** What stock.py wrote. */
export const STOCK: { readonly data: StockData; readonly answer: StockAnswer } = JSON.parse(
  readFileSync(new URL('./stock.json', import.meta.url), 'utf8'),
);

/** The same numbers by protocol/statistics. */
export function ourAnswer(data: StockData) {
  const { decisions, classes, values, stream } = data;
  return {
    distances: distances(data.reference, data.current),
    fairness: fairness(decisions),
    binary: binaryMetrics(confusionOf(decisions.y, decisions.predicted)),
    multiclass: multiclass(classes),
    scored: scored(decisions, data.bins),
    regression: regression(values),
    detectors: {
      adwin: firings(new Adwin(), stream).drifts,
      'page-hinkley': firings(new PageHinkley(), stream).drifts,
      kswin: firings(new Kswin(), stream).drifts,
      ddm: firings(new Ddm(), stream).drifts,
      eddm: firings(new Eddm(), stream).drifts,
    },
    adjusted: Array.from(benjaminiHochberg(data.pValues)),
  };
}

function distances(reference: readonly number[], current: readonly number[]) {
  const values = [...new Set([...reference, ...current])].sort((a, b) => a - b);
  const grid = { edges: Float64Array.from(values.slice(1)) };
  const [before, now] = [emptyNumeric(grid), emptyNumeric(grid)];
  for (const x of reference) addNumeric(before, grid, x);
  for (const x of current) addNumeric(now, grid, x);
  const drift = compareFeature(before, now, { kind: 'numeric', ...grid });
  const chi = chiSquare(before.counts, now.counts);
  const first = (counts: Float64Array, rows: readonly number[]) => ({
    successes: counts[0],
    trials: rows.length,
  });
  return {
    values,
    ks: drift.ks,
    chiSquare: chi.statistic,
    chiSquareLogP: drift.logP,
    jensenShannonBits: drift.jensenShannon,
    wasserstein: drift.wasserstein,
    evidently: {
      psi: psi(before.counts.map(unsmoothed), now.counts.map(unsmoothed)),
      jensenShannonNats: drift.jensenShannon * Math.sqrt(Math.LN2),
      wasserstein: drift.wasserstein,
      zTestP: twoProportionTest(first(before.counts, reference), first(now.counts, current)).pValue,
    },
  };
}

function confusionOf(y: readonly number[], predicted: readonly number[]) {
  const count = (said: number, is: number) =>
    y.filter((label, row) => label === is && predicted[row] === said).length;
  return { tp: count(1, 1), fp: count(1, 0), fn: count(0, 1), tn: count(0, 0) };
}

function fairness({ group, y, predicted }: StockData['decisions']) {
  const groups = [...new Set(group)].sort().map((wanted) => {
    const own = (column: readonly number[]) => column.filter((_, row) => group[row] === wanted);
    const confusion = confusionOf(own(y), own(predicted));
    const positive = confusion.tp + confusion.fp;
    return { rows: own(y).length, positive, residualSum: 0, ...confusion };
  });
  const {
    predictiveParityDifference: _,
    calibrationDifference: __,
    ...named
  } = fairnessMetrics(groups);
  return { fairlearn: named, aif360: signedMetrics(groups[1], groups[0]) };
}

function multiclass({ y, predicted }: StockData['classes']) {
  const classes = Math.max(...y, ...predicted) + 1;
  const confusion = new Float64Array(classes * classes);
  for (const [row, label] of y.entries()) confusion[predicted[row] * classes + label] += 1;
  const { rows: _, classes: __, ...metrics } = multiclassMetrics(confusion);
  return metrics;
}

function scored({ y, score, predicted }: StockData['decisions'], width: number) {
  const grid = uniformGrid(0, 1, width);
  const bins = Array.from({ length: width }, () => ({
    ...{ negative: 0, positive: 0, scoreSum: 0, labelled0: 0, labelled1: 0 },
  }));
  for (const [row, value] of score.entries()) {
    const bin = bins[binOf(grid, value)];
    bin.scoreSum += value;
    if (predicted[row] === 1) bin.positive += 1;
    else bin.negative += 1;
    if (y[row] === 1) bin.labelled1 += 1;
    else bin.labelled0 += 1;
  }
  const truth = bins.map(({ labelled0, labelled1 }) => ({ ones: labelled1, zeros: labelled0 }));
  const map = isotonicMap(bins);
  const area = deLong(truth);
  return {
    auc: aucOf(truth),
    deLongError: area && (area.high - area.value) / Z_95,
    isotonic: Array.from({ length: 41 }, (_, k) => calibrated(map, k / 40)),
    calibrationError: calibrationOf(bins)?.error,
  };
}

function regression({ y, predicted }: StockData['values']) {
  const sum = (of: (label: number, error: number) => number) =>
    y.reduce((total, label, row) => total + of(label, predicted[row] - label), 0);
  const metrics = regressionMetrics({
    rows: y.length,
    errorSum: sum((_, error) => error),
    errorAbs: sum((_, error) => Math.abs(error)),
    errorSquares: sum((_, error) => error * error),
    labelSum: sum((label) => label),
    labelSquares: sum((label) => label * label),
  });
  return {
    bias: metrics?.bias.value,
    meanAbsoluteError: metrics?.meanAbsoluteError.value,
    rootMeanSquaredError: metrics?.rootMeanSquaredError,
    rSquared: metrics?.rSquared,
  };
}

/** Evidently adds nothing to a cell and we half a count, which is next to nothing in a million times as many rows. */
const unsmoothed = (count: number) => count * 1e6;

const SMOOTHED = /\.evidently\.psi$/;

/** The names of all numbers in which two answers differ by more than rounding. */
export function differences(ours: unknown, theirs: unknown, name = ''): readonly string[] {
  if (typeof ours === 'number' && typeof theirs === 'number') {
    const tolerance = SMOOTHED.test(name) ? 1e-6 : 1e-9;
    const near = Math.abs(ours - theirs) <= tolerance * Math.max(1e-3, Math.abs(theirs));
    return near ? [] : [`${name}: ${ours}, not ${theirs}`];
  }
  if (!isRecord(ours) || !isRecord(theirs)) return [`${name}: ${ours}, not ${theirs}`];
  const names = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  names.delete('versions');
  return [...names].flatMap((key) => differences(ours[key], theirs[key], `${name}.${key}`));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
