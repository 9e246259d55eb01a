import type { MonitoringInForce } from '../../protocol/monitoring.ts';
import type { OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { trustOf } from '../../protocol/statistics/cbpe.ts';
import { isotonicMap } from '../../protocol/statistics/isotonic.ts';
import { scoreBins } from '../../protocol/statistics/score-bins.ts';
import type { MonitorShape, MonitorState } from './drift-monitor.ts';
import { fairnessSignals, GAP_RATES, gapSignal } from './fairness-signal.ts';
import type { Observe } from './observe-block.ts';
import { outcomeOf } from './outcome-sum.ts';
import { estimateAgainstLabels, labelErrorSignal } from './performance-signal.ts';
import type { Seen, Stream } from './stream.ts';

/** Labelled rows before an estimate is held against them. */
const MIN_TRUST_ROWS = 100;

/** What labels say of each stream, and of the estimate that did without them. */
export function observeLabels(
  state: MonitorState,
  shape: MonitorShape,
  config: MonitoringInForce,
  labels: OutcomeSketch,
): { readonly observed: Observe; readonly trust: number | null } {
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
  return { observed, trust: trustIn(shape, labels) };
}

function trustIn({ reference }: MonitorShape, labels: OutcomeSketch): number | null {
  const baseline = reference?.outcome ?? null;
  const map = baseline === null ? null : isotonicMap(scoreBins(baseline.scores));
  if (baseline === null || map === null) return null;
  const both = estimateAgainstLabels(baseline, labels, map);
  if (both === null || both.rows < MIN_TRUST_ROWS) return null;
  const { estimated, realised, rows } = both;
  return trustOf(estimated, realised, Math.sqrt((realised * (1 - realised)) / rows));
}
