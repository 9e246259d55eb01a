import { describe, expect, it } from 'vitest';
import { addToBlock, emptyBlock, nextBlock } from '../../../control-plane/decide/block.ts';
import { judgeBlock, newMonitor } from '../../../control-plane/decide/drift-monitor.ts';
import { monitoringInForce } from '../../../protocol/monitoring.ts';
import { emptyEvaluator } from '../../../protocol/sketch/evaluator.ts';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { addLatency } from '../../../protocol/sketch/latency.ts';
import {
  emptyWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../../protocol/sketch/window.ts';
import { seeded } from '../../support/synthetic-windows.ts';

const random = seeded(17);
/** A sensor between 0 and 1 whose every third reading is 0: its reference has nothing below. */
const reading = () => (random() < 0.33 ? 0 : random());
const values = Float64Array.from({ length: 5_000 }, reading);
const GRIDS: WindowGrids = {
  features: [{ kind: 'numeric', ...gridFromReference(values) }],
  prediction: { kind: 'numeric', edges: new Float64Array(0) },
};

function windowOf(readings: readonly (number | null)[]): WindowSketch {
  const window = emptyWindow(GRIDS);
  const [grid] = GRIDS.features;
  const [sketch] = window.features;
  if (grid.kind !== 'numeric' || sketch.kind !== 'numeric') throw new Error('a numeric grid');
  for (const value of readings) addNumeric(sketch, grid, value);
  return Object.assign(window, { rows: readings.length, requests: readings.length });
}

class Watched {
  readonly #config = monitoringInForce({
    learningWindows: 3,
    evaluators: [{ kind: 'rule', name: 'json', rule: 'json-valid', output: 'text' }],
  });
  readonly #shape = {
    ...{ features: ['sensor'], grids: GRIDS, predicts: false },
    reference: windowOf([...values]),
  };
  state = newMonitor(this.#shape, this.#config);
  #block = emptyBlock(GRIDS);
  #at = 0;

  see(window: WindowSketch): this {
    this.#at += 1;
    addToBlock(this.#block, window, this.#at * 1000, 1000);
    this.state = judgeBlock(this.state, this.#shape, this.#config, this.#block, 1000);
    this.#block = nextBlock(this.#block, GRIDS);
    return this;
  }

  kinds(): Record<string, string> {
    return Object.fromEntries(
      this.state.streams.map(({ kind, state }) => [kind, state.kind] as const),
    );
  }
}

const usual = (rows = 300) => windowOf(Array.from({ length: rows }, reading));
const times = (count: number, see: () => void) => {
  for (let at = 0; at < count; at += 1) see();
};

describe('data quality', () => {
  const after = (make: () => WindowSketch) => {
    const watched = new Watched();
    times(30, () => watched.see(usual()));
    expect(Object.values(watched.kinds())).not.toContain('alert');
    times(2, () => watched.see(make()));
    return watched.kinds();
  };

  it('sees values that go missing', () => {
    const lost = () =>
      windowOf(Array.from({ length: 300 }, () => (random() < 0.1 ? null : reading())));
    expect(after(lost)).toMatchObject({ missing: 'alert', unseen: 'ok' });
  });

  it('sees values that are no numbers', () => {
    const broken = () =>
      windowOf(Array.from({ length: 300 }, () => (random() < 0.1 ? Number.NaN : reading())));
    expect(after(broken)).toMatchObject({ unseen: 'alert', missing: 'ok' });
  });

  it('sees values beyond what the reference had', () => {
    const below = () =>
      windowOf(Array.from({ length: 300 }, () => (random() < 0.1 ? -1 : reading())));
    expect(after(below)).toMatchObject({ 'out-of-range': 'alert', missing: 'ok' });
  });
});

describe('latency', () => {
  const served = (slow: number) => {
    const window = usual();
    for (let at = 0; at < 300; at += 1) {
      addLatency(window.latency, (random() < slow ? 80_000 : 20_000) * (0.9 + 0.2 * random()));
    }
    return window;
  };

  it('is learned in twenty windows, and then alerts when twice the time is common', () => {
    const watched = new Watched();
    times(19, () => watched.see(served(0)));
    expect(watched.kinds().latency).toBe('insufficient');
    times(20, () => watched.see(served(0)));
    expect(watched.kinds().latency).toBe('ok');
    times(3, () => watched.see(served(0.5)));
    expect(watched.kinds().latency).toBe('alert');
  });
});

describe('an evaluator', () => {
  const scored = (rows: number, bad: number) => {
    const window = usual();
    const json = emptyEvaluator('json');
    const grid = { edges: Float64Array.from({ length: 31 }, (_, k) => (k + 1) / 32) };
    for (let at = 0; at < rows; at += 1) {
      const flagged = random() < bad;
      addNumeric(json.scores, grid, Number(flagged));
      json.flagged += Number(flagged);
    }
    window.evaluators.push(json);
    return window;
  };

  it('is judged on enough samples, against what it flagged at first', () => {
    const watched = new Watched();
    times(60, () => watched.see(scored(20, 0.1)));
    expect(watched.kinds().evaluator).toBe('ok');
    times(30, () => watched.see(scored(20, 0.5)));
    expect(watched.kinds().evaluator).toBe('alert');
    const last = watched.state.streams.find(({ kind }) => kind === 'evaluator')?.last;
    expect(last).toMatchObject({ kind: 'rate', trials: 60 });
  });
});
