import { GROUP_FIELDS, type OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { logEValue } from '../../protocol/statistics/e-value.ts';
import { calibrated, type IsotonicMap } from '../../protocol/statistics/isotonic.ts';
import { normalLogSurvival } from '../../protocol/statistics/normal.ts';
import { meanScore, type ScoreBin, scoreBins } from '../../protocol/statistics/score-bins.ts';
import { learnedRateSignal, rateSignal } from './rate-signal.ts';
import type { Rate } from './rate-test.ts';
import { countedRows } from './shared-reference.ts';
import type { Learnt, Seen, StreamMemory } from './stream.ts';

/** Accuracy that must seem lost before anybody is told: 5 points. */
const ACCURACY_FLOOR = 0.05;

/** Mean absolute error that must have grown: by a fifth. */
const ABSOLUTE_ERROR_FLOOR = 0.2;

/** Labelled rows of a baseline that stand for what a version gets wrong. */
const MIN_VALIDATED = 100;

/**
 * Without labels: how often the model would be right on these scores if the baseline's calibration held, against the
 * same of the baseline's own scores. One-sided. Null without scores on either side.
 */
export function estimatedSignal(
  reference: OutcomeSketch,
  current: OutcomeSketch,
  map: IsotonicMap,
): Seen | null {
  const before = expectedAccuracy(scoreBins(reference.scores), map);
  const now = expectedAccuracy(scoreBins(current.scores), map);
  if (before === null || now === null) return null;
  const error = errorOfGap(before, now);
  const logP = oneSided(before.mean - now.mean, error);
  const effect = (before.mean - now.mean) / ACCURACY_FLOOR;
  return {
    observation: { kind: 'evidence', logE: [logEValue(logP)], effect },
    measure: {
      kind: 'level',
      value: now.mean,
      reference: before.mean,
      rows: now.rows,
      logP,
      effect,
    },
  };
}

interface Mean {
  readonly rows: number;
  readonly variance: number;
}

function errorOfGap(before: Mean, now: Mean): number {
  const counted = countedRows(before.rows, now.rows);
  return Math.sqrt(before.variance / before.rows + now.variance / counted);
}

/** Mean and variance over rows of the probability that the prediction is right: what CBPE adds up. */
function expectedAccuracy(bins: readonly ScoreBin[], map: IsotonicMap) {
  let rows = 0;
  let sum = 0;
  let squares = 0;
  for (const [at, { negative, positive }] of bins.entries()) {
    const all = negative + positive;
    if (all === 0) continue;
    const q = calibrated(map, meanScore(bins, at));
    rows += all;
    sum += positive * q + negative * (1 - q);
    squares += positive * q * q + negative * (1 - q) ** 2;
  }
  if (rows === 0) return null;
  const mean = sum / rows;
  return { rows, mean, variance: Math.max(0, squares / rows - mean * mean) };
}

/**
 * What CBPE would have said of the rows that have labels, and what they were. A bin that the baseline has no row in is
 * decided as the nearest one that has. Null without any.
 */
export function estimateOn(
  scored: OutcomeSketch,
  labelled: OutcomeSketch,
  map: IsotonicMap,
): { readonly estimated: number; readonly realised: number; readonly rows: number } | null {
  const errors = errorsOf(labelled);
  if (errors === null || errors.trials === 0) return null;
  const bins = scoreBins(scored.scores);
  const filled = [...bins.keys()].filter((at) => bins[at].negative + bins[at].positive > 0);
  if (filled.length === 0) return null;
  let rows = 0;
  let estimated = 0;
  for (const [at, { labelled0, labelled1 }] of scoreBins(labelled.scores).entries()) {
    const known = labelled0 + labelled1;
    if (known === 0) continue;
    const nearest = filled.reduce((a, b) => (Math.abs(b - at) < Math.abs(a - at) ? b : a));
    const { negative, positive } = bins[nearest];
    const q = calibrated(map, meanScore(bins, at));
    rows += known;
    estimated += (known * (positive * q + negative * (1 - q))) / (positive + negative);
  }
  if (rows === 0) return null;
  return { estimated: estimated / rows, realised: 1 - errors.events / errors.trials, rows };
}

/**
 * What labels say of the errors, against those of the baseline's own labels, or of the first labels where it has none.
 *
 * @param tolerated an error rate that is no news, where an operator has set one
 */
export function labelErrorSignal(
  reference: OutcomeSketch | null,
  current: OutcomeSketch,
  memory: StreamMemory | null,
  learningSteps: number,
  tolerated: number | undefined,
): Seen | Learnt | null {
  const seen = errorsOf(current);
  if (seen === null) return reference === null ? null : absoluteErrorSignal(reference, current);
  const validated = reference === null ? null : errorsOf(reference);
  if (validated !== null && validated.trials >= MIN_VALIDATED) {
    return rateSignal(validated, seen, tolerated);
  }
  return learnedRateSignal(seen, memory, learningSteps);
}

/** Labelled rows and those that were wrong; null for a regression. */
export function errorsOf(outcome: OutcomeSketch): Rate | null {
  const field = everyone(outcome);
  switch (outcome.kind) {
    case 'binary': {
      const events = field('fp') + field('fn');
      return { events, trials: events + field('tp') + field('tn') };
    }
    case 'multiclass':
      return { events: field('labelled') - field('correct'), trials: field('labelled') };
    case 'regression':
      return null;
  }
}

/** Rows that have a label. */
export function labelledRows(outcome: OutcomeSketch): number {
  return errorsOf(outcome)?.trials ?? everyone(outcome)('labelled');
}

function absoluteErrorSignal(reference: OutcomeSketch, current: OutcomeSketch): Seen | null {
  const before = absoluteError(reference);
  const now = absoluteError(current);
  if (before.rows < MIN_VALIDATED || now.rows === 0) return null;
  const error = errorOfGap(before, now);
  const logP = oneSided(now.mean - before.mean, error);
  const growth = before.mean > 0 ? now.mean / before.mean - 1 : Number(now.mean > 0);
  const effect = growth / ABSOLUTE_ERROR_FLOOR;
  return {
    observation: { kind: 'evidence', logE: [logEValue(logP)], effect },
    measure: {
      kind: 'level',
      value: now.mean,
      reference: before.mean,
      rows: now.rows,
      logP,
      effect,
    },
  };
}

function absoluteError(outcome: OutcomeSketch) {
  const field = everyone(outcome);
  const rows = field('labelled');
  if (rows === 0) return { rows, mean: 0, variance: 0 };
  const mean = field('errorAbs') / rows;
  return { rows, mean, variance: Math.max(0, field('errorSquares') / rows - mean * mean) };
}

/** Field of "everyone", the first group cell; 0 where this kind has none of that name. */
function everyone(outcome: OutcomeSketch): (name: string) => number {
  const names: readonly string[] = GROUP_FIELDS[outcome.kind];
  return (name) => outcome.groups[names.indexOf(name)] ?? 0;
}

/** ln of P(Z ≥ gap / error); 0 for a gap in the other direction. */
export function oneSided(gap: number, error: number): number {
  if (!(gap > 0)) return 0;
  if (error === 0) return -Number.MAX_VALUE;
  return normalLogSurvival(gap / error);
}
