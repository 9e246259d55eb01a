import { emptyBlock } from '../../control-plane/decide/block.ts';
import {
  judgeBlock,
  judgeLabels,
  type MonitorShape,
  type MonitorState,
  newMonitor,
} from '../../control-plane/decide/drift-monitor.ts';
import type { StreamKind } from '../../control-plane/decide/stream.ts';
import { type Monitoring, monitoringInForce } from '../../protocol/monitoring.ts';
import {
  emptyOutcome,
  type OutcomeGrid,
  type OutcomeSketch,
} from '../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../protocol/sketch/outcome-count.ts';
import { emptyWindow, type WindowSketch } from '../../protocol/sketch/window.ts';
import { GRIDS, seeded } from './synthetic-windows.ts';

const OUTCOME: OutcomeGrid = {
  kind: 'binary',
  axes: [{ attribute: 'sex', kind: 'values', values: ['F', 'M'] }],
  scoreBins: 64,
  classes: [],
};

/** Decisions of a calibrated model: a score s, positive from ½, right with probability max(s, 1 − s). */
export interface Decisions {
  readonly rows: number;
  /** Scores lie within ½ ± this; ½ by default, so that the model is right in 3 of 4 rows. */
  readonly spread?: number;
  /** Part of the rows whose truth has turned around. */
  readonly flipped?: number;
  /** Taken from the scores of F, in points. */
  readonly penalty?: number;
}

/** A monitored model with groups and labels. Mutable: each call is a step. */
export class ScoredModel {
  readonly shape: MonitorShape;
  readonly #config: ReturnType<typeof monitoringInForce>;
  readonly #cells = new OutcomeCells(OUTCOME);
  readonly #random: () => number;
  state: MonitorState;
  #at = 0;

  constructor(seed: number, baseline: Decisions = { rows: 20_000 }, monitoring: Monitoring = {}) {
    this.#random = seeded(seed);
    this.#config = monitoringInForce({ learningWindows: 0, ...monitoring });
    const grids = { ...GRIDS, outcome: OUTCOME };
    const reference = { ...emptyWindow(grids), outcome: this.#decide(baseline, 'both') };
    this.shape = { features: [], grids, predicts: false, reference };
    this.state = newMonitor(this.shape, this.#config);
  }

  /** Judges a window of decisions; `change` may add to it. */
  decide(decisions: Decisions, change: (window: WindowSketch) => void = () => undefined): this {
    const block = emptyBlock(this.shape.grids);
    Object.assign(block.window, {
      outcome: this.#decide(decisions, 'decisions'),
      rows: decisions.rows,
      requests: decisions.rows,
    });
    change(block.window);
    Object.assign(block, { startMs: this.#at * 1000, endMs: (this.#at + 1) * 1000 });
    this.#at += 1;
    this.state = judgeBlock(this.state, this.shape, this.#config, block, 1000);
    return this;
  }

  /** Judges labels of such decisions. */
  label(decisions: Decisions): this {
    const labels = this.#decide(decisions, 'labels');
    this.#at += 1;
    this.state = judgeLabels(this.state, this.shape, this.#config, labels, 1000, this.#at * 1000);
    return this;
  }

  kindOf(kind: StreamKind, name: string = kind): string {
    const stream = this.state.streams.find((one) => one.kind === kind && one.name === name);
    return stream?.state.kind ?? 'none';
  }

  lastOf(kind: StreamKind, name: string = kind) {
    return this.state.streams.find((one) => one.kind === kind && one.name === name)?.last ?? null;
  }

  #decide(
    { rows, spread = 0.5, flipped = 0, penalty = 0 }: Decisions,
    part: 'decisions' | 'labels' | 'both',
  ): OutcomeSketch {
    const outcome = emptyOutcome(OUTCOME);
    const random = this.#random;
    for (let row = 0; row < rows; row += 1) {
      const level = random() < 0.4 ? 0 : 1;
      const truth = 0.5 + spread * (2 * random() - 1);
      const score = Math.max(0, truth - (level === 0 ? penalty : 0));
      const turned = random() < flipped ? 1 - truth : truth;
      const label = Number(random() < turned);
      const positive = score >= 0.5;
      if (part !== 'labels') this.#cells.countPrediction(outcome, [level], score, positive);
      if (part !== 'decisions') this.#cells.countLabel(outcome, [level], score, positive, label);
    }
    return outcome;
  }
}
