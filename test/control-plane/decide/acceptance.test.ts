import { describe, expect, it } from 'vitest';
import { addToBlock, emptyBlock } from '../../../control-plane/decide/block.ts';
import {
  judgeBlock,
  type MonitorState,
  newMonitor,
} from '../../../control-plane/decide/drift-monitor.ts';
import { monitoringInForce } from '../../../protocol/monitoring.ts';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { emptyWindow, type WindowGrids } from '../../../protocol/sketch/window.ts';
import { type Fleet, nullAlarms, windowsToFind } from '../../support/simulated-fleet.ts';
import { seeded } from '../../support/synthetic-windows.ts';

/** `research/monitoring.md` (iii) H. The whole table of H.1, 30 days each, is `bench/evaluate/null.ts`. */
const FLEET: Fleet = {
  features: 50,
  windowRows: 500,
  referenceRows: 10_000,
  windowMs: 300_000,
  seed: 1,
};
const DAY = 288;
const LEARNING = 20;

/**
 * A budget of one false alarm a day, over a day: what 30 days at one in 30 would show, at an alarm level that is 30 times
 * easier to reach by chance.
 */
describe('H.1: without drift, 50 features and 288 windows a day keep the budget:', () => {
  it.each([
    { windowRows: 200, referenceRows: 2_000 },
    { windowRows: 200, referenceRows: 10_000 },
    { windowRows: 500, referenceRows: 2_000 },
    { windowRows: 500, referenceRows: 10_000 },
    // The trap of a shared reference: each window is larger than what it is compared with.
    { windowRows: 2_000, referenceRows: 1_000 },
  ])('%o', (sizes) => {
    const alarms = nullAlarms({ ...FLEET, ...sizes, seed: 2 }, DAY, { falseAlarmDays: 1 });
    expect(alarms).toBeLessThanOrEqual(1);
  });
});

describe('H.2: a shift of one feature of 50, windows of 500 rows', () => {
  it('of 0.3 σ is found within 3 windows, and of 0.2 σ within 12', () => {
    const shifts = [
      { shift: 0.3, most: 3 },
      { shift: 0.2, most: 12 },
    ];
    const found = Array.from({ length: 6 }, (_, seed) =>
      windowsToFind({ ...FLEET, seed }, LEARNING, shifts),
    );
    expect(found.map(([large]) => large)).not.toContain(null);
    // Half the windows show less than the floor of 0.2 σ: of 100 such shifts one takes longer.
    expect(found.filter(([, small]) => small === null).length).toBeLessThanOrEqual(1);
  });
});

describe('H.6: a dead sensor', () => {
  const WINDOW_MS = 300_000;
  const ROWS = 336;
  const random = seeded(6);
  const dead = () => 0.003467;
  const alive = () => 0.002 + 0.004 * random();
  const grid = gridFromReference(Float64Array.from({ length: 10_000 }, dead));
  const grids: WindowGrids = {
    features: [{ kind: 'numeric', ...grid }],
    prediction: { kind: 'numeric', edges: new Float64Array(0) },
  };
  const windowOf = (rows: number, value: () => number) => {
    const window = emptyWindow(grids);
    const [feature] = window.features;
    if (feature.kind !== 'numeric') throw new Error('a numeric grid');
    for (let row = 0; row < rows; row += 1) addNumeric(feature, grid, value());
    return Object.assign(window, { rows, requests: rows });
  };
  const shape = {
    ...{ features: ['sensor'], grids, predicts: false },
    reference: windowOf(10_000, dead),
  };
  const config = monitoringInForce({ learningWindows: 0 });
  const step = (state: MonitorState, at: number, value: () => number) => {
    const block = emptyBlock(grids);
    addToBlock(block, windowOf(ROWS, value), at * WINDOW_MS, WINDOW_MS);
    return judgeBlock(state, shape, config, block, WINDOW_MS);
  };
  const alarms = ({ streams }: MonitorState) =>
    streams.filter(({ state }) => state.kind === 'alert').map(({ kind }) => kind);

  it('that comes alive raises an alarm in its first window, and none before', () => {
    let state = newMonitor(shape, config);
    for (let at = 0; at < 30; at += 1) state = step(state, at, dead);
    expect(alarms(state)).toEqual([]);
    expect(alarms(step(state, 30, alive))).toContain('feature');
  });
});
