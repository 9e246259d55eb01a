import { uniformGrid } from '../../protocol/sketch/grid.ts';
import { addNumeric, type NumericSketch } from '../../protocol/sketch/histogram.ts';
import { emptyWindow, type WindowGrids, type WindowSketch } from '../../protocol/sketch/window.ts';

/** One numeric feature on 16 bins and a score on 64: what a small binary model is watched by. */
export const GRIDS: WindowGrids = {
  features: [{ kind: 'numeric', ...uniformGrid(-3, 3, 16) }],
  prediction: { kind: 'numeric', ...uniformGrid(0, 1, 64) },
};

/** Seeded uniform numbers in [0, 1) (mulberry32), so that a failing test fails again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Traffic {
  readonly rows: number;
  /** Added to the feature, in σ. */
  readonly inputShift?: number;
  /** Added to the log-odds of the score. */
  readonly scoreShift?: number;
  readonly errors?: number;
  readonly nonFinite?: number;
}

/** A window of `rows` one-row requests: x ~ N(shift, 1), score = logistic(x + scoreShift). */
export function syntheticWindow(random: () => number, traffic: Traffic): WindowSketch {
  const window = emptyWindow(GRIDS);
  for (let row = 0; row < traffic.rows; row += 1) {
    const x = gaussian(random) + (traffic.inputShift ?? 0);
    const score = 1 / (1 + Math.exp(-(x + (traffic.scoreShift ?? 0))));
    addTo(window, 'feature', x);
    addTo(window, 'prediction', score);
  }
  window.rows = traffic.rows;
  window.errors = traffic.errors ?? 0;
  window.requests = traffic.rows + window.errors;
  window.nonFiniteOutputs = traffic.nonFinite ?? 0;
  return window;
}

function addTo(window: WindowSketch, place: 'feature' | 'prediction', x: number): void {
  const grid = place === 'feature' ? GRIDS.features[0] : GRIDS.prediction;
  const sketch = place === 'feature' ? window.features[0] : window.prediction;
  if (grid.kind !== 'numeric' || sketch.kind !== 'numeric') throw new Error('grids are numeric');
  addNumeric(sketch satisfies NumericSketch, grid, x);
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
