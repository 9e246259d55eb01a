import { SketchError } from './error.ts';
import { type GroupAxis, groupCells } from './group.ts';
import { emptyLatency, type LatencySketch, mergeLatency } from './latency.ts';

/** What the outcomes of a version are counted on. `binary`: a score with a threshold, or a label with a positive class. */
export interface OutcomeGrid {
  readonly kind: 'binary' | 'multiclass' | 'regression';
  readonly axes: readonly GroupAxis[];
  /** Uniform bins of the score over [0,1]; 0 where there is no score. */
  readonly scoreBins: number;
  /** Multiclass: the classes told apart; one more stands for all others. Empty for the other kinds. */
  readonly classes: readonly (string | number)[];
}

/** Fields of one group cell; each is a column of `groups`. Which ones are counted depends on the kind. */
export const GROUP_FIELDS = {
  binary: ['rows', 'positive', 'scoreSum', 'scoreSquares', 'tp', 'fp', 'fn', 'tn', 'residualSum'],
  multiclass: ['rows', 'labelled', 'correct'],
  regression: [
    'rows',
    'valueSum',
    'valueSquares',
    'labelled',
    'errorSum',
    'errorAbs',
    'errorSquares',
    'labelSum',
    'labelSquares',
  ],
} as const;

/** Fields of one score bin: rows predicted negative and positive, Σ score, labelled rows with y = 0 and y = 1. */
export const SCORE_FIELDS = ['negative', 'positive', 'scoreSum', 'labelled0', 'labelled1'] as const;

/** How labels fared that came for predictions of this window. */
export interface LabelCounts {
  /** Joined to a prediction and counted. */
  joined: number;
  /** Said again what was known. */
  duplicate: number;
  /** Contradicted an earlier label: the first one stays counted. */
  conflicting: number;
  /** From answer to label, in milliseconds (the sketch's unit is read as ms here). */
  readonly delay: LatencySketch;
}

/**
 * Predictions and, when they come, labels of one window. Late labels arrive as a window of the *prediction's* time
 * with no rows, and merge by addition like everything else.
 */
export interface OutcomeSketch {
  readonly kind: OutcomeGrid['kind'];
  /** groupCells × GROUP_FIELDS[kind], row by row. */
  readonly groups: Float64Array;
  /** scoreBins × SCORE_FIELDS, row by row. */
  readonly scores: Float64Array;
  /** (classes + 1)²: row = predicted, column = actual; empty unless multiclass. */
  readonly confusion: Float64Array;
  readonly labels: LabelCounts;
}

export function emptyOutcome(grid: OutcomeGrid): OutcomeSketch {
  const classes = grid.kind === 'multiclass' ? grid.classes.length + 1 : 0;
  return {
    kind: grid.kind,
    groups: new Float64Array(groupCells(grid.axes).length * GROUP_FIELDS[grid.kind].length),
    scores: new Float64Array(grid.scoreBins * SCORE_FIELDS.length),
    confusion: new Float64Array(classes * classes),
    labels: { joined: 0, duplicate: 0, conflicting: 0, delay: emptyLatency() },
  };
}

/** @throws SketchError `shape` when they were not counted on the same cells; `into` is then unchanged */
export function mergeOutcome(into: OutcomeSketch, from: OutcomeSketch): void {
  requireSameOutcome(into, from);
  addTo(into.groups, from.groups);
  addTo(into.scores, from.scores);
  addTo(into.confusion, from.confusion);
  into.labels.joined += from.labels.joined;
  into.labels.duplicate += from.labels.duplicate;
  into.labels.conflicting += from.labels.conflicting;
  mergeLatency(into.labels.delay, from.labels.delay);
}

/** @throws SketchError `shape` */
export function requireSameOutcome(into: OutcomeSketch, from: OutcomeSketch): void {
  const same =
    into.kind === from.kind &&
    into.groups.length === from.groups.length &&
    into.scores.length === from.scores.length &&
    into.confusion.length === from.confusion.length;
  if (same) return;
  throw new SketchError(
    'shape',
    `cannot merge ${from.kind} outcomes with ${from.groups.length} group fields into ${into.kind} with ${into.groups.length}`,
  );
}

function addTo(into: Float64Array, from: Float64Array): void {
  for (let k = 0; k < into.length; k += 1) into[k] += from[k];
}
