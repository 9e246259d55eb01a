import { decodeOnGrids } from '../control-plane/merge/fold.ts';
import { encodeWindow } from '../protocol/sketch/codec.ts';
import { addCategory, categoryIndex } from '../protocol/sketch/frequency.ts';
import { gridFromReference, uniformGrid } from '../protocol/sketch/grid.ts';
import { addNumeric } from '../protocol/sketch/histogram.ts';
import { addLatency } from '../protocol/sketch/latency.ts';
import {
  emptyWindow,
  type FeatureGrid,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../protocol/sketch/window.ts';
import { seeded } from '../test/support/random-models.ts';
import { QUICK } from './support/bench.ts';
import { drawValue } from './support/recorded.ts';
import { atMost, machineLine, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'How many bytes is a window on the wire, and what do writing, reading and merging it cost?';

const NUMERIC = 50;
const CATEGORICAL = 20;
const TIMED_FEATURES = 16;
const CATEGORIES = 12;
const REFERENCE_ROWS = 20_000;
const FILLS = [500, 5_000];
const ROUNDS = QUICK ? 5 : 31;
const CALLS = 200;
/** Different windows in turn, so that no branch predictor learns one by heart. */
const DIFFERENT = 16;

const random = seeded(11);

function numericGrid(column: number): FeatureGrid {
  const values = Float64Array.from({ length: REFERENCE_ROWS }, () => drawValue(column, random));
  return { kind: 'numeric', ...gridFromReference(values) };
}

function gridsOf(numeric: number, categorical: number): WindowGrids {
  const values = Array.from({ length: CATEGORIES }, (_, at) => `c${at}`);
  return {
    features: [
      ...Array.from({ length: numeric }, (_, column) => numericGrid(column)),
      ...Array.from({ length: categorical }, () => ({ kind: 'categorical' as const, values })),
    ],
    prediction: { kind: 'numeric', ...uniformGrid(0, 1, 64) },
  };
}

/** A window of rows like those of the reference; categories fall off as 1 / rank. */
function filled(grids: WindowGrids, rows: number): WindowSketch {
  const window = emptyWindow(grids);
  for (const [column, grid] of grids.features.entries()) {
    const sketch = window.features[column];
    if (grid.kind === 'numeric' && sketch.kind === 'numeric') {
      for (let row = 0; row < rows; row += 1) addNumeric(sketch, grid, drawValue(column, random));
    } else if (grid.kind === 'categorical' && sketch.kind === 'categorical') {
      const index = categoryIndex(grid);
      for (let row = 0; row < rows; row += 1) {
        addCategory(sketch, index, `c${Math.floor((CATEGORIES + 1) ** random()) - 1}`);
      }
    }
  }
  const { prediction } = window;
  for (let row = 0; row < rows; row += 1) {
    if (prediction.kind === 'numeric' && grids.prediction.kind === 'numeric') {
      addNumeric(prediction, grids.prediction, random());
    }
    addLatency(window.latency, 100 + 50 * random());
  }
  return Object.assign(window, { rows, requests: rows });
}

/** Microseconds of CPU time a call. */
function timed(call: (at: number) => void): number {
  const start = process.cpuUsage();
  for (let at = 0; at < CALLS; at += 1) call(at);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / CALLS;
}

function bytes(): void {
  const none = gridsOf(0, 0);
  const numeric = gridsOf(NUMERIC, 0);
  const both = gridsOf(NUMERIC, CATEGORICAL);
  const lines = [['rows', 'numeric feature, bytes', '50 numeric + 20 categorical, bytes']];
  const verdicts: string[] = [];
  for (const rows of FILLS) {
    const rest = encodeWindow(filled(none, rows)).length;
    const each = (encodeWindow(filled(numeric, rows)).length - rest) / NUMERIC;
    const whole = encodeWindow(filled(both, rows)).length;
    lines.push([rows.toLocaleString('en'), each.toFixed(0), whole.toLocaleString('en')]);
    verdicts.push(verdict(`bytes a numeric feature, ${rows} rows`, atMost(250), each));
    verdicts.push(verdict(`bytes a window of 70 features, ${rows} rows`, atMost(8192), whole));
  }
  process.stdout.write(`${table(lines)}\n${verdicts.join('\n')}\n\n`);
}

function times(): void {
  const grids = gridsOf(TIMED_FEATURES, 0);
  const lines = [['rows', 'encode us', 'decode us', 'merge us', 'decode, check, merge us']];
  const verdicts: string[] = [];
  for (const rows of FILLS) {
    const windows = Array.from({ length: DIFFERENT }, () => filled(grids, rows));
    const bodies = windows.map((window) => encodeWindow(window));
    const into = emptyWindow(grids);
    const calls = [
      (at: number) => void encodeWindow(windows[at % DIFFERENT]),
      (at: number) => void decodeOnGrids(bodies[at % DIFFERENT], grids),
      (at: number) => mergeWindow(into, windows[at % DIFFERENT]),
      (at: number) => {
        const decoded = decodeOnGrids(bodies[at % DIFFERENT], grids);
        if (decoded.kind === 'refused') throw new Error(decoded.detail);
        mergeWindow(into, decoded.window);
      },
    ];
    const found = calls.map(() => [] as number[]);
    for (let round = -3; round < ROUNDS; round += 1) {
      for (const [at, call] of calls.entries()) {
        const us = timed(call);
        if (round >= 0) found[at].push(us);
      }
    }
    lines.push([rows.toLocaleString('en'), ...found.map((us) => quartiles(us).median.toFixed(1))]);
    verdicts.push(verdict(`encode, ${rows} rows, us`, atMost(10), quartiles(found[0])));
    verdicts.push(verdict(`merge of decoded, ${rows} rows, us`, atMost(10), quartiles(found[2])));
    verdicts.push(verdict(`decode and merge, ${rows} rows, us`, atMost(10), quartiles(found[3])));
  }
  process.stdout.write(`windows of ${TIMED_FEATURES} numeric features\n${table(lines)}\n`);
  process.stdout.write(`${verdicts.join('\n')}\n`);
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
bytes();
times();
