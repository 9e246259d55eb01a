import {
  emptyOutcome,
  mergeOutcome,
  type OutcomeGrid,
  type OutcomeSketch,
} from '../../protocol/sketch/outcome.ts';
import { partOf } from './outcome-sum.ts';
import { labelledRows } from './performance-signal.ts';

/** Labels that can be judged: fewer are noise, and a step costs evidence. */
export const MIN_LABELS = 50;

/** Labels that came since the last step, whatever windows they belong to. Mutable, owned by its watcher. */
export interface LabelLane {
  readonly outcome: OutcomeSketch;
}

export function emptyLane(grid: OutcomeGrid): LabelLane {
  return { outcome: emptyOutcome(grid) };
}

/** @throws SketchError `shape` when it was counted on other cells; the lane stays as it was */
export function addLabels(lane: LabelLane, outcome: OutcomeSketch): void {
  mergeOutcome(lane.outcome, partOf(outcome, 'labels'));
}

/** At most one step a window: the false-alarm budget counts on it. */
export function isLabelRipe(
  lane: LabelLane,
  judgedMs: number,
  windowMs: number,
  now: number,
): boolean {
  return now - judgedMs >= windowMs && labelledRows(lane.outcome) >= MIN_LABELS;
}
