import { describe, expect, it } from 'vitest';
import { alertActions } from '../../../control-plane/decide/alert-policy.ts';
import { addToBlock, emptyBlock, isRipe, nextBlock } from '../../../control-plane/decide/block.ts';
import {
  judgeBlock,
  type MonitorShape,
  type MonitorState,
  newMonitor,
} from '../../../control-plane/decide/drift-monitor.ts';
import { monitoringInForce } from '../../../protocol/monitoring.ts';
import { GRIDS, seeded, syntheticWindow, type Traffic } from '../../support/synthetic-windows.ts';

const WINDOW_MS = 2_000;
const SHAPE: MonitorShape = {
  features: ['x'],
  grids: GRIDS,
  predicts: true,
  reference: syntheticWindow(seeded(42), { rows: 10_000 }),
};
const AT_ONCE = monitoringInForce({ learningWindows: 0 });

/** Watches as the driver does: windows gather in a block, ripe blocks are judged. */
function watch(seed: number, traffic: readonly Traffic[], config = AT_ONCE) {
  const random = seeded(seed);
  let state = newMonitor(SHAPE, config);
  let block = emptyBlock(GRIDS);
  const states: MonitorState[] = [];
  for (const [at, kind] of traffic.entries()) {
    addToBlock(block, syntheticWindow(random, kind), at * WINDOW_MS, WINDOW_MS);
    if (isRipe(block, state.judgedUntilMs)) {
      state = judgeBlock(state, SHAPE, config, block, WINDOW_MS);
      block = nextBlock(block, GRIDS);
    }
    states.push(state);
  }
  return states;
}

const times = (count: number, traffic: Traffic) => Array.from({ length: count }, () => traffic);
const kinds = (state: MonitorState) =>
  Object.fromEntries(
    state.streams
      .filter(({ kind, name }) => kind === name || kind === 'feature')
      .map((stream) => [stream.name, stream.state.kind]),
  );

describe('the drift monitor', () => {
  it('raises nothing over 10,000 windows without drift', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      for (const { streams } of watch(seed, times(200, { rows: 250 }))) {
        expect(streams.map(({ state }) => state.kind)).not.toContain('alert');
      }
    }
  });

  it('alerts on shifted inputs within three windows, clears after three calm ones and cools down', () => {
    const states = watch(1, [
      ...times(10, { rows: 300 }),
      ...times(4, { rows: 300, inputShift: 1.5 }),
      ...times(4, { rows: 3_000 }),
      ...times(6, { rows: 300, inputShift: 1.5 }),
    ]);
    expect(kinds(states[9]).x).not.toBe('alert');
    expect(kinds(states[12])).toMatchObject({ x: 'alert', prediction: 'alert', errors: 'ok' });
    expect(kinds(states[15]).x).toBe('alert');
    expect(kinds(states[16]).x).toBe('cooling');
    expect(kinds(states[23]).x).toBe('cooling');
    const { state } = states[16].streams[0];
    expect(state).toEqual({ kind: 'cooling', untilMs: 17 * WINDOW_MS + 3_600_000 });
  });

  it('never alerts in its first windows, and at once after them', () => {
    const learning = monitoringInForce({ learningWindows: 8 });
    const states = watch(1, times(10, { rows: 300, inputShift: 1.5 }), learning);
    expect(states.slice(0, 8).map((state) => kinds(state).x)).not.toContain('alert');
    expect(kinds(states[7]).x).toBe('watch');
    expect(kinds(states[8]).x).toBe('alert');
  });

  it('knows nothing until 200 rows came together, however many windows that takes', () => {
    const states = watch(2, times(5, { rows: 45 }));
    expect(kinds(states[3])).toMatchObject({ x: 'insufficient', errors: 'insufficient' });
    expect(kinds(states[4])).toMatchObject({ x: 'ok', errors: 'ok' });
    expect(states[4].streams[0].last).toMatchObject({ rows: { current: 225 } });
  });

  it('steps once per window however many hosts send one', () => {
    const random = seeded(3);
    let state = newMonitor(SHAPE, AT_ONCE);
    let block = emptyBlock(GRIDS);
    for (let host = 0; host < 5; host += 1) {
      addToBlock(block, syntheticWindow(random, { rows: 300 }), 4_000, WINDOW_MS);
      if (!isRipe(block, state.judgedUntilMs)) continue;
      state = judgeBlock(state, SHAPE, AT_ONCE, block, WINDOW_MS);
      block = nextBlock(block, GRIDS);
    }
    expect(state.blocks).toBe(1);
    expect(block.windows).toBe(4);
  });

  it('waits for the hosts of the block before, but no longer than a window', () => {
    const block = emptyBlock(GRIDS);
    const awaited = { hosts: new Set(['a', 'b']), windowMs: WINDOW_MS };
    const add = (host: string, at: number) =>
      addToBlock(block, syntheticWindow(seeded(1), { rows: 300 }), at, WINDOW_MS, host);
    add('a', WINDOW_MS);
    expect(isRipe(block, WINDOW_MS)).toBe(true);
    expect(isRipe(block, WINDOW_MS, awaited)).toBe(false);
    add('b', WINDOW_MS);
    expect(isRipe(block, WINDOW_MS, awaited)).toBe(true);
    expect(isRipe(block, 2 * WINDOW_MS, awaited)).toBe(false);
    const alone = emptyBlock(GRIDS);
    const window = syntheticWindow(seeded(1), { rows: 300 });
    addToBlock(alone, window, 2 * WINDOW_MS, WINDOW_MS, 'a');
    expect(isRipe(alone, WINDOW_MS, awaited)).toBe(true);
  });

  it('alerts on errors, not on one in a hundred', () => {
    const tolerated = watch(4, times(300, { rows: 300, errors: 3 }));
    expect(kinds(tolerated[299]).errors).not.toBe('alert');
    const failing = watch(5, times(6, { rows: 300, errors: 60 }));
    expect(kinds(failing[5]).errors).toBe('alert');
    const silent = watch(6, times(3, { rows: 0, errors: 250 }));
    expect(kinds(silent[2])).toMatchObject({ errors: 'alert', x: 'insufficient' });
  });

  it('opens one alert per kind, once, raises it when it gets worse, and closes it when calm', () => {
    const states = watch(1, [
      ...times(3, { rows: 3_000, inputShift: 0.27 }),
      ...times(2, { rows: 3_000, inputShift: 1.5 }),
      ...times(4, { rows: 3_000 }),
    ]);
    const opened = alertActions(states[2], []);
    expect(opened).toMatchObject([
      { kind: 'open', alert: 'input-drift', severity: 'low' },
      { kind: 'open', alert: 'prediction-drift', severity: 'low' },
    ]);
    const open = [
      { kind: 'input-drift', severity: 'low' },
      { kind: 'prediction-drift', severity: 'low' },
    ] as const;
    expect(alertActions(states[2], open)).toEqual([]);
    expect(alertActions(states[3], open)).toMatchObject([
      { kind: 'escalate', alert: 'input-drift', severity: 'critical' },
      { kind: 'escalate', alert: 'prediction-drift', severity: 'critical' },
    ]);
    expect(alertActions(states[8], open)).toEqual([
      { kind: 'close', alert: 'input-drift' },
      { kind: 'close', alert: 'prediction-drift' },
    ]);
  });

  it('survives being written down as JSON', () => {
    const last = watch(8, times(3, { rows: 300, inputShift: 40 })).at(-1);
    expect(JSON.parse(JSON.stringify(last))).toEqual(last);
  });
});
