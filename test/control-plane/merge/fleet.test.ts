import { afterEach, beforeEach, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../control-plane/store/rollups.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { addCategory, categoryIndex } from '../../../protocol/sketch/frequency.ts';
import { uniformGrid } from '../../../protocol/sketch/grid.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { addLatency } from '../../../protocol/sketch/latency.ts';
import type { OutcomeGrid } from '../../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../../protocol/sketch/outcome-count.ts';
import {
  emptyWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../../protocol/sketch/window.ts';
import { MergeFixture } from '../../support/merge-fixture.ts';
import { seeded } from '../../support/synthetic-windows.ts';

/** H.3 of `research/monitoring.md`: what 100 hosts saw, added up, is what one host would have seen of all rows. */
const HOSTS = 100;
const ROWS = 20_000;
const START = 20_000 * DAY_MS;
const OUTCOME: OutcomeGrid = {
  kind: 'binary',
  axes: [{ attribute: 'sex', kind: 'values', values: ['F', 'M'] }],
  scoreBins: 64,
  classes: [],
};
const COLOURS = { kind: 'categorical', values: ['red', 'green', 'blue'] } as const;
const COLOUR_CELLS = categoryIndex(COLOURS);
const AGE = { kind: 'numeric', ...uniformGrid(0, 100, 20) } as const;
const GRIDS: WindowGrids = {
  features: [COLOURS, AGE],
  prediction: { kind: 'categorical', values: ['deny', 'grant'] },
  outcome: OUTCOME,
};
const cells = new OutcomeCells(OUTCOME);

/** One row of 20,000, into every window given. Scores are 64ths, so their sums are exact. */
function count(random: () => number, windows: readonly WindowSketch[]): void {
  const colour = ['red', 'green', 'blue', 'mauve', null][Math.floor(5 * random())];
  const age = random() < 0.02 ? null : Math.floor(100 * random());
  const [score, label] = [Math.floor(64 * random()) / 64, Math.round(random())];
  const levels = [Math.floor(4 * random())];
  const [positive, us] = [score >= 0.5, 100 + Math.floor(1000 * random())];
  for (const window of windows) {
    window.rows += 1;
    window.requests += 1;
    const [first, second] = window.features;
    if (first.kind === 'categorical') addCategory(first, COLOUR_CELLS, colour);
    if (second.kind === 'numeric') addNumeric(second, AGE, age);
    const { prediction, outcome } = window;
    if (prediction.kind === 'categorical') prediction.counts[Number(positive)] += 1;
    if (outcome === null) throw new Error('outcomes are watched');
    cells.countPrediction(outcome, levels, score, positive);
    cells.countLabel(outcome, levels, score, positive, label);
    addLatency(window.latency, us);
  }
}

/** The same window with what is only near: the moments and sums of numbers. */
function exactPart(window: WindowSketch): WindowSketch {
  return { ...window, features: window.features.filter(({ kind }) => kind === 'categorical') };
}

let fixture: MergeFixture;
beforeEach(async () => {
  fixture = await MergeFixture.open(GRIDS);
});
afterEach(() => fixture.close());

it('H.3: 100 hosts merged are one host of all rows, byte for byte where sketches are exact', async () => {
  const random = seeded(3);
  const one = emptyWindow(GRIDS);
  const parts = Array.from({ length: HOSTS }, () => emptyWindow(GRIDS));
  for (let row = 0; row < ROWS; row += 1) {
    count(random, [one, parts[Math.floor(HOSTS * random())]]);
  }
  for (const [at, part] of parts.entries()) {
    const agentId = `agt_${String(at).padStart(24, '0')}`;
    await fixture.assign(agentId);
    await fixture.add(START + (at % 12) * 300_000, part, { agentId, sequence: 1 });
  }
  await fixture.retention.roll();
  for (const stepMs of [0, HOUR_MS, DAY_MS]) {
    const { total } = await fixture.sum(START, START + DAY_MS, stepMs);
    expect(encodeWindow(exactPart(total))).toEqual(encodeWindow(exactPart(one)));
    const [, merged] = total.features;
    const [, whole] = one.features;
    if (merged.kind !== 'numeric' || whole.kind !== 'numeric') throw new Error('ages are numbers');
    expect(merged.counts).toEqual(whole.counts);
    expect([merged.missing, merged.nonFinite, merged.moments.count]).toEqual([
      whole.missing,
      whole.nonFinite,
      whole.moments.count,
    ]);
    expect(merged.moments.mean).toBeCloseTo(whole.moments.mean, 9);
    // Each host's σ came as a float32.
    expect(merged.moments.m2 / whole.moments.m2).toBeCloseTo(1, 7);
  }
});
