import { addToBlock, emptyBlock } from '../../control-plane/decide/block.ts';
import {
  judgeBlock,
  type MonitorShape,
  newMonitor,
} from '../../control-plane/decide/drift-monitor.ts';
import { monitoringInForce } from '../../protocol/monitoring.ts';
import { gridFromReference } from '../../protocol/sketch/grid.ts';
import { addNumeric } from '../../protocol/sketch/histogram.ts';
import { emptyWindow, type WindowGrids, type WindowSketch } from '../../protocol/sketch/window.ts';
import { check, readRows } from './shared-data.ts';

/** H.6: does a dead sensor that comes alive (ELEC2, `vicprice` from row 17,424) raise an alarm within one window? */

const SENSOR = 'vicprice';
const ALIVE_FROM = 17_424;
const REFERENCE_ROWS = 10_000;
/** A week of half hours. */
const WINDOW_ROWS = 336;
const WINDOW_MS = 300_000;

const rows = readRows('elec.csv');
if (rows !== null) {
  const values = Float64Array.from(rows, (row) => Number(row[SENSOR]));
  const grid = gridFromReference(values.slice(0, REFERENCE_ROWS));
  const grids: WindowGrids = {
    features: [{ kind: 'numeric', ...grid }],
    prediction: { kind: 'numeric', edges: new Float64Array(0) },
  };
  const windowOf = (from: number, to: number): WindowSketch => {
    const window = emptyWindow(grids);
    const [feature] = window.features;
    for (const value of values.subarray(from, to)) {
      if (feature.kind === 'numeric') addNumeric(feature, grid, value);
      window.rows += 1;
      window.requests += 1;
    }
    return window;
  };
  const shape: MonitorShape = {
    features: [SENSOR],
    grids,
    predicts: false,
    reference: windowOf(0, REFERENCE_ROWS),
  };
  const config = monitoringInForce({ learningWindows: 0 });
  let monitor = newMonitor(shape, config);
  let alarmAt: number | null = null;
  for (let from = REFERENCE_ROWS; from < values.length && alarmAt === null; from += WINDOW_ROWS) {
    const to = Math.min(from + WINDOW_ROWS, values.length);
    const block = emptyBlock(grids);
    addToBlock(block, windowOf(from, to), from * WINDOW_MS, WINDOW_MS);
    monitor = judgeBlock(monitor, shape, config, block, WINDOW_MS);
    if (monitor.streams.some(({ kind, state }) => kind === 'feature' && state.kind === 'alert')) {
      alarmAt = to;
    }
  }
  const delay = alarmAt === null ? null : alarmAt - ALIVE_FROM;
  check(
    `${SENSOR} alarms within one window (${WINDOW_ROWS} rows) of row ${ALIVE_FROM}, not before`,
    delay !== null && delay > 0 && delay <= WINDOW_ROWS,
    alarmAt === null ? 'no alarm' : `after row ${alarmAt}, ${delay} rows later`,
  );
}
