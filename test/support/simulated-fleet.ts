import { type Block, emptyBlock } from '../../control-plane/decide/block.ts';
import {
  judgeBlock,
  type MonitorShape,
  type MonitorState,
  newMonitor,
} from '../../control-plane/decide/drift-monitor.ts';
import {
  type Monitoring,
  type MonitoringInForce,
  monitoringInForce,
} from '../../protocol/monitoring.ts';
import { gridFromReference } from '../../protocol/sketch/grid.ts';
import { addNumeric, emptyNumeric, type NumericSketch } from '../../protocol/sketch/histogram.ts';
import { emptyWindow, type FeatureGrid } from '../../protocol/sketch/window.ts';
import { seeded } from './synthetic-windows.ts';

/**
 * Windows of independent N(0, 1) features without drawing a value: which bin each row falls in has known
 * probabilities, so a row is one draw from an alias table (Walker 1977). Exact for counts; a bin's values stand at
 * their mean, which moves a Wasserstein distance by less than 0.001 σ.
 */
export interface Fleet {
  readonly features: number;
  readonly windowRows: number;
  readonly referenceRows: number;
  readonly windowMs: number;
  readonly seed: number;
}

/** A deployment whose windows are simulated and judged as in production. Mutable: call `window` once for each. */
export class SimulatedFleet {
  readonly shape: MonitorShape;
  readonly #config: MonitoringInForce;
  readonly #fleet: Fleet;
  readonly #random: () => number;
  readonly #tables = new Map<string, CellTable>();
  readonly #block: Block;
  state: MonitorState;
  #at = 0;

  constructor(fleet: Fleet, config: MonitoringInForce = monitoringInForce({})) {
    this.#fleet = fleet;
    this.#config = config;
    this.#random = seeded(fleet.seed);
    const sketches = Array.from({ length: fleet.features }, () => this.#reference());
    const prediction: FeatureGrid = { kind: 'numeric', edges: new Float64Array(0) };
    const grids = { features: sketches.map(({ grid }) => grid), prediction };
    const reference = {
      ...emptyWindow(grids),
      features: sketches.map(({ sketch }) => sketch),
      rows: fleet.referenceRows,
    };
    const features = sketches.map((_, at) => `x${at}`);
    this.shape = { features, grids, predicts: false, reference };
    this.state = newMonitor(this.shape, config);
    this.#block = emptyBlock(grids);
  }

  /** Judges one more window; `shift` moves the first feature, in σ. Returns the streams that alert. */
  window(shift = 0): readonly string[] {
    const { windowRows, windowMs } = this.#fleet;
    const { window } = this.#block;
    for (const [at, sketch] of window.features.entries()) {
      if (sketch.kind !== 'numeric') continue;
      this.#table(at, at === 0 ? shift : 0).draw(windowRows, this.#random, sketch);
    }
    Object.assign(window, { rows: windowRows, requests: windowRows });
    this.#block.startMs = this.#at * windowMs;
    this.#block.endMs = this.#block.startMs + windowMs;
    this.#at += 1;
    this.state = judgeBlock(this.state, this.shape, this.#config, this.#block, windowMs);
    return this.state.streams.flatMap(({ kind, name, state }) =>
      state.kind === 'alert' ? [`${kind}:${name}`] : [],
    );
  }

  #reference(): { grid: FeatureGrid; sketch: NumericSketch } {
    const values = Float64Array.from({ length: this.#fleet.referenceRows }, () =>
      gaussian(this.#random),
    );
    const grid = { kind: 'numeric' as const, ...gridFromReference(values) };
    const sketch = emptyNumeric(grid);
    for (const value of values) addNumeric(sketch, grid, value);
    return { grid, sketch };
  }

  #table(at: number, shift: number): CellTable {
    const key = `${at} ${shift}`;
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const grid = this.shape.grids.features[at];
    const edges = grid.kind === 'numeric' ? grid.edges : new Float64Array(0);
    const table = new CellTable(edges, shift);
    this.#tables.set(key, table);
    return table;
  }
}

/** Alarms over `windows` windows without drift: a stream that goes into alert counts once each time. */
export function nullAlarms(fleet: Fleet, windows: number, monitoring: Monitoring = {}): number {
  const simulated = new SimulatedFleet(fleet, monitoringInForce(monitoring));
  let alarms = 0;
  let open: ReadonlySet<string> = new Set();
  for (let at = 0; at < windows; at += 1) {
    const now = new Set(simulated.window());
    for (const stream of now) if (!open.has(stream)) alarms += 1;
    open = now;
  }
  return alarms;
}

/**
 * For each shift of one feature, windows until it is found, after the same `calm` windows without it; null within its
 * `most`.
 */
export function windowsToFind(
  fleet: Fleet,
  calm: number,
  shifts: readonly { readonly shift: number; readonly most: number }[],
): readonly (number | null)[] {
  const simulated = new SimulatedFleet(fleet);
  for (let at = 0; at < calm; at += 1) simulated.window();
  const { state } = simulated;
  return shifts.map(({ shift, most }) => {
    simulated.state = state;
    for (let at = 1; at <= most; at += 1) {
      if (simulated.window(shift).includes('feature:x0')) return at;
    }
    return null;
  });
}

/** Draws bins of N(shift, 1) by Walker's alias method, two rows at a time: one cell for each pair of bins. */
class CellTable {
  readonly #means: Float64Array;
  readonly #bins: number;
  readonly #cut: Float64Array;
  readonly #alias: Uint16Array;

  constructor(edges: Float64Array, shift: number) {
    const bins = edges.length + 1;
    const at = (k: number) => (k < 0 ? -Infinity : k >= edges.length ? Infinity : edges[k] - shift);
    const mass = Float64Array.from({ length: bins }, (_, k) => cdf(at(k)) - cdf(at(k - 1)));
    this.#means = mass.map((p, k) =>
      p > 0 ? shift + (density(at(k - 1)) - density(at(k))) / p : shift,
    );
    this.#bins = bins;
    const pairs = Float64Array.from(
      { length: bins * bins },
      (_, k) => mass[Math.floor(k / bins)] * mass[k % bins],
    );
    this.#cut = pairs.map((p) => p * pairs.length);
    this.#alias = Uint16Array.from(pairs, (_, k) => k);
    const small = [...this.#cut.keys()].filter((k) => this.#cut[k] < 1);
    const large = [...this.#cut.keys()].filter((k) => this.#cut[k] >= 1);
    for (let low = small.pop(); low !== undefined; low = small.pop()) {
      const high = large.at(-1);
      if (high === undefined) break;
      this.#alias[low] = high;
      this.#cut[high] -= 1 - this.#cut[low];
      if (this.#cut[high] < 1) small.push(large.pop() ?? high);
    }
  }

  /** @param rows an even number */
  draw(rows: number, random: () => number, into: NumericSketch): void {
    const { counts, sums, moments } = into;
    const bins = this.#bins;
    counts.fill(0);
    const cells = this.#cut.length;
    for (let row = 0; row + 1 < rows; row += 2) {
      const place = random() * cells;
      const cell = place | 0;
      const pair = place - cell < this.#cut[cell] ? cell : this.#alias[cell];
      const first = (pair / bins) | 0;
      counts[first] += 1;
      counts[pair - first * bins] += 1;
    }
    let sum = 0;
    for (let k = 0; k < bins; k += 1) {
      sums[k] = counts[k] * this.#means[k];
      sum += sums[k];
    }
    Object.assign(moments, { count: rows, mean: sum / rows, m2: rows });
  }
}

function density(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/** Φ by the complementary error function of Numerical Recipes (erfcc), relative error below 1.2e-7. */
function cdf(x: number): number {
  if (!Number.isFinite(x)) return x > 0 ? 1 : 0;
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + z / 2);
  const poly = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
    1.48851587, -0.82215223, 0.17087277,
  ].reduceRight((sum, c) => sum * t + c, 0);
  const tail = (t * Math.exp(-z * z + poly)) / 2;
  return x > 0 ? 1 - tail : tail;
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
