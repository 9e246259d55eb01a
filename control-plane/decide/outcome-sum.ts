import { emptyLatency } from '../../protocol/sketch/latency.ts';
import {
  emptyOutcome,
  GROUP_FIELDS,
  type OutcomeGrid,
  type OutcomeSketch,
  SCORE_FIELDS,
} from '../../protocol/sketch/outcome.ts';

/** Everything that fairness is judged on: all since the period began. Plain JSON. */
export interface OutcomeSum {
  readonly sinceMs: number;
  /** `OutcomeSketch.groups`. */
  readonly groups: readonly number[];
}

const DAY_MS = 86_400_000;

/**
 * Begins anew after `periodDays`: a confidence sequence never forgets, and a model that was repaired must come clean.
 * Only binary decisions are compared between groups.
 */
export function addOutcome(
  before: OutcomeSum | null,
  added: OutcomeSketch | null,
  atMs: number,
  periodDays: number,
): OutcomeSum | null {
  if (added === null || added.kind !== 'binary') return before;
  if (before === null || atMs - before.sinceMs > periodDays * DAY_MS) {
    return { sinceMs: atMs, groups: Array.from(added.groups) };
  }
  return { ...before, groups: before.groups.map((count, at) => count + added.groups[at]) };
}

/** The sum as a sketch; null where the version's groups are others than those it was counted on. */
export function outcomeOf(sum: OutcomeSum, grid: OutcomeGrid): OutcomeSketch | null {
  const empty = emptyOutcome(grid);
  if (sum.groups.length !== empty.groups.length) return null;
  return { ...empty, groups: Float64Array.from(sum.groups) };
}

/** Fields that predictions fill; all others come with labels. */
const PREDICTED: Record<OutcomeGrid['kind'], readonly string[]> = {
  binary: ['rows', 'positive', 'scoreSum', 'scoreSquares'],
  multiclass: ['rows'],
  regression: ['rows', 'valueSum', 'valueSquares'],
};
const SCORED: readonly string[] = ['negative', 'positive', 'scoreSum'];

/** One part of an outcome, the other set to 0: predictions are judged with their window, labels when they come. */
export function partOf(outcome: OutcomeSketch, part: 'predictions' | 'labels'): OutcomeSketch {
  const wanted = part === 'predictions';
  const keep = (values: Float64Array, fields: readonly string[], predicted: readonly string[]) =>
    values.map((value, at) =>
      predicted.includes(fields[at % fields.length]) === wanted ? value : 0,
    );
  return {
    kind: outcome.kind,
    groups: keep(outcome.groups, GROUP_FIELDS[outcome.kind], PREDICTED[outcome.kind]),
    scores: keep(outcome.scores, SCORE_FIELDS, SCORED),
    confusion: wanted ? new Float64Array(outcome.confusion.length) : outcome.confusion,
    labels: wanted
      ? { joined: 0, duplicate: 0, conflicting: 0, delay: emptyLatency() }
      : outcome.labels,
  };
}
