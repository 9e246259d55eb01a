import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MonitorShape } from '../control-plane/decide/drift-monitor.ts';
import { keepWindows } from '../control-plane/merge/retention.ts';
import { monitoringQuerySchema } from '../control-plane/reading/query.ts';
import { PeriodReader } from '../control-plane/reading/reader.ts';
import { Store } from '../control-plane/store/database.ts';
import { insertDeployment } from '../control-plane/store/deployments.ts';
import { insertVersion } from '../control-plane/store/models.ts';
import { HOUR_MS, markDue, type RollupKey } from '../control-plane/store/rollups.ts';
import { windows } from '../control-plane/store/telemetry-schema.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { encodeWindow } from '../protocol/sketch/codec.ts';
import { gridFromReference, uniformGrid } from '../protocol/sketch/grid.ts';
import { addNumeric } from '../protocol/sketch/histogram.ts';
import { addLatency } from '../protocol/sketch/latency.ts';
import { emptyWindow, type WindowGrids, type WindowSketch } from '../protocol/sketch/window.ts';
import { seeded } from '../test/support/random-models.ts';
import { atMost, machineLine, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'How long does the monitoring query of a month take: one deployment, 50 features, 5-minute windows?';

const QUICK = process.argv.includes('--quick');
const FEATURES = 50;
const WINDOW_MS = 300_000;
const DAYS = QUICK ? 2 : 30;
const ROWS = 500;
const ROUNDS = QUICK ? 3 : 9;
const GOAL_MS = 200;
/** Windows in turn: drawing 8,640 × 500 × 50 values would be most of the bench. */
const DIFFERENT = 64;
const DIGEST = `sha256:${'5'.repeat(64)}`;

const random = seeded(5);
/** Box and Muller: one standard normal number. */
const gaussian = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const reference = Float64Array.from({ length: 20_000 }, () => gaussian());
const grid = gridFromReference(reference);
const grids: WindowGrids = {
  features: Array.from({ length: FEATURES }, () => ({ kind: 'numeric', ...grid })),
  prediction: { kind: 'numeric', ...uniformGrid(0, 1, 64) },
};

function windowOf(rows: number): WindowSketch {
  const window = emptyWindow(grids);
  for (const feature of [...window.features, window.prediction]) {
    const place = feature === window.prediction ? grids.prediction : grids.features[0];
    if (feature.kind !== 'numeric' || place.kind !== 'numeric') continue;
    for (let row = 0; row < rows; row += 1) addNumeric(feature, place, gaussian());
  }
  for (let row = 0; row < rows; row += 1) addLatency(window.latency, 100 + 50 * random());
  window.rows = rows;
  window.requests = rows;
  return window;
}

const document: Manifest = {
  schema: 1,
  model: 'm',
  task: 'binary',
  files: [{ role: 'model', digest: DIGEST, sizeBytes: 1 }],
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, FEATURES] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
  features: [],
  groups: [],
  prediction: { tensor: 'y', index: 0, kind: 'score' },
};

async function fill(store: Store): Promise<number> {
  const bodies = Array.from({ length: DIFFERENT }, () => encodeWindow(windowOf(ROWS)));
  const common = { deployment: 'd', manifest: DIGEST, arm: 'stable' as const, agentId: 'agt_1' };
  const counts = { parts: 1, requests: ROWS, rows: ROWS, errors: 0, updatedAt: 0 };
  await store.write(async (tx) => {
    await insertVersion(tx, DIGEST, document, 'bench', 0);
    const names = { name: 'd', model: 'm', version: 1, previousVersion: null, selector: {} };
    await insertDeployment(tx, { ...names, windowMs: WINDOW_MS, createdAt: 0, updatedAt: 0 });
  });
  const total = (DAYS * 86_400_000) / WINDOW_MS;
  for (let from = 0; from < total; from += 288) {
    const rows = Array.from({ length: 288 }, (_, at) => ({
      ...common,
      ...counts,
      windowMs: WINDOW_MS,
      windowStartMs: (from + at) * WINDOW_MS,
      body: bodies[(from + at) % DIFFERENT],
    }));
    await store.write(async (tx) => {
      await tx.insert(windows).values(rows);
      await markDue(tx, hoursOf(rows));
    });
  }
  return bodies.reduce((sum, body) => sum + body.length, 0) / DIFFERENT;
}

/** As the merge marks them: an hour that nobody has marked is never made, and a month would be read as empty. */
function hoursOf(rows: readonly (typeof windows.$inferInsert)[]): RollupKey[] {
  const starts = new Set(
    rows.map(({ windowStartMs }) => windowStartMs - (windowStartMs % HOUR_MS)),
  );
  const [{ deployment, manifest, arm, agentId }] = rows;
  return [...starts].map((startMs) => ({
    ...{ deployment, manifest, arm, agentId, levelMs: HOUR_MS, startMs },
  }));
}

/** Hours and days, made as the control plane makes them once they are over; feature-windows a second. */
async function rollUp(store: Store): Promise<void> {
  const onFailure = (where: string, error: unknown) => {
    throw new Error(where, { cause: error });
  };
  const retention = keepWindows({ store, now: () => Date.now(), onFailure });
  const start = performance.now();
  const made = await retention.roll();
  const seconds = (performance.now() - start) / 1000;
  await retention.close();
  process.stdout.write(`${made} roll-ups made in ${seconds.toFixed(1)} s\n`);
}

const folder = await mkdtemp(join(tmpdir(), 'driftline-bench-'));
const store = await Store.open(folder);
try {
  process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
  const bytes = await fill(store);
  process.stdout.write(`${(bytes / FEATURES).toFixed(0)} bytes a feature and window\n`);
  await rollUp(store);
  const shape: MonitorShape = {
    features: Array.from({ length: FEATURES }, (_, at) => `f${at}`),
    grids,
    predicts: true,
    reference: windowOf(10_000),
  };
  const reader = new PeriodReader(store, async () => shape);
  const toMs = DAYS * 86_400_000;
  const rows: string[][] = [['query', 'points', 'answer KB', 'ms median', 'q1', 'q3']];
  let month = quartiles([0]);
  for (const given of [{}, { resolution: '1d' }, { include: 'windows' }]) {
    const query = monitoringQuerySchema.parse({ from: 0, to: toMs, ...given });
    const times: number[] = [];
    let size = 0;
    let points = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const start = performance.now();
      const view = await reader.read('d', query, toMs);
      size = JSON.stringify(view).length;
      times.push(performance.now() - start);
      points = view.windows.length;
      const expected = toMs / WINDOW_MS;
      if (view.totals.windows !== expected) {
        throw new Error(`${view.totals.windows} windows in the answer, ${expected} are stored`);
      }
    }
    const found = quartiles(times);
    if (Object.keys(given).length === 0) month = found;
    const figures = [size / 1024, found.median, found.q1, found.q3].map((value) =>
      value.toFixed(0),
    );
    rows.push([JSON.stringify(given), String(points), ...figures]);
  }
  process.stdout.write(`${table(rows)}\n\n`);
  process.stdout.write(`${verdict(`${DAYS} days, ms`, atMost(GOAL_MS), month)}\n`);
} finally {
  await store.close();
  await rm(folder, { recursive: true, force: true });
}
