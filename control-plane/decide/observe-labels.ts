import type { MonitoringInForce } from '../../protocol/monitoring.ts';
import type { OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { trustOf } from '../../protocol/statistics/cbpe.ts';
import { isotonicMap } from '../../protocol/statistics/isotonic.ts';
import { scoreBins } from '../../protocol/statistics/score-bins.ts';
import type { MonitorShape, MonitorState } from './drift-monitor.ts';
import { fairnessSignals, GAP_RATES, gapSignal } from './fairness-signal.ts';
import type { Observe } from './observe-block.ts';
import { outcomeOf } from './outcome-sum.ts';
import { estimateOn, labelErrorSignal } from './performance-signal.ts';
import type { Seen, Stream } from './stream.ts';

/** Labelled rows before an estimate is held against them. */
const MIN_TRUST_ROWS = 100;

/** What labels say of each stream, and of the estimate that did without them. */
export function observeLabels(
  state: MonitorState,
  shape: MonitorShape,
  config: MonitoringInForce,
  labels: OutcomeSketch,
): { readonly observed: Observe; readonly agreement: Agreement | null } {
  const baseline = shape.reference?.outcome ?? null;
  const grid = shape.grids.outcome ?? null;
  const sum = state.outcome === null || grid === null ? null : outcomeOf(state.outcome, grid);
  const fairness: ReadonlyMap<string, Seen> =
    sum === null || grid === null ? new Map() : fairnessSignals(grid, sum, config.fairness);
  const eDetector = config.detectors.find((one) => one.kind === 'e-detector');
  const observed = ({ kind, name, memory }: Stream) => {
    if (kind === 'fairness') return fairness.get(name) ?? null;
    if (kind === 'label-errors') {
      const { learningWindows } = config;
      return labelErrorSignal(baseline, labels, memory, learningWindows, eDetector?.toleratedRate);
    }
    if (kind !== 'error-gap' || baseline === null || grid === null) return null;
    const sides = { reference: baseline, current: labels };
    return gapSignal(name, GAP_RATES['error-gap'], grid, sides, config.fairness);
  };
  return { observed, agreement: agreementWith(state.agreement, shape, labels) };
}

/** What the estimate and the labels said of the same rows, lately. Plain JSON. */
export interface Agreement {
  readonly rows: number;
  /** Rows that should have been right by the estimate, and that were. */
  readonly estimated: number;
  readonly right: number;
}

/** Earlier labels fade: with each batch the sum before counts as so many rows at most. */
const REMEMBERED_ROWS = 400;

function agreementWith(
  before: Agreement | null,
  { reference }: MonitorShape,
  labels: OutcomeSketch,
): Agreement | null {
  const baseline = reference?.outcome ?? null;
  const map = baseline === null ? null : isotonicMap(scoreBins(baseline.scores));
  const both = baseline === null || map === null ? null : estimateOn(baseline, labels, map);
  if (both === null) return before;
  const { rows, estimated, realised } = both;
  const now = { rows, estimated: estimated * rows, right: realised * rows };
  if (before === null) return now;
  const kept = Math.min(1, REMEMBERED_ROWS / before.rows);
  return {
    rows: kept * before.rows + now.rows,
    estimated: kept * before.estimated + now.estimated,
    right: kept * before.right + now.right,
  };
}

/** Null until there are labels enough to hold the estimate against. */
export function trustIn(agreement: Agreement | null): number | null {
  if (agreement === null || agreement.rows < MIN_TRUST_ROWS) return null;
  const { rows, estimated, right } = agreement;
  const realised = right / rows;
  return trustOf(estimated / rows, realised, Math.sqrt((realised * (1 - realised)) / rows));
}
