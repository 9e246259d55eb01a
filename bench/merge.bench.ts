import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MonitorShape } from '../control-plane/decide/drift-monitor.ts';
import { decodeOnGrids, foldWindow, sumUp } from '../control-plane/merge/fold.ts';
import { Ingest } from '../control-plane/merge/ingest.ts';
import { keepWindows } from '../control-plane/merge/retention.ts';
import { insertAssignments } from '../control-plane/store/assignments.ts';
import { Store } from '../control-plane/store/database.ts';
import { insertDeployment } from '../control-plane/store/deployments.ts';
import { encodeWindow } from '../protocol/sketch/codec.ts';
import { gridFromReference, uniformGrid } from '../protocol/sketch/grid.ts';
import { addNumeric } from '../protocol/sketch/histogram.ts';
import { addLatency } from '../protocol/sketch/latency.ts';
import { emptyWindow, type WindowGrids, type WindowSketch } from '../protocol/sketch/window.ts';
import { seeded } from '../test/support/random-models.ts';
import { atLeast, machineLine, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'How many feature-windows a second does the control plane merge: in memory, and into its database?';

const QUICK = process.argv.includes('--quick');
const FEATURES = 50;
const ROWS = 500;
const WINDOW_MS = 300_000;
const HOSTS = QUICK ? 20 : 100;
/** Windows of each host. The last of them ends long ago: an hour that is over can be rolled up. */
const WINDOWS = 24;
const ROUNDS = QUICK ? 3 : 7;
const GOAL = 20_000;
const DIFFERENT = 64;
const DIGEST = `sha256:${'7'.repeat(64)}`;

const random = seeded(7);
const gaussian = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const grid = gridFromReference(Float64Array.from({ length: 20_000 }, gaussian));
const grids: WindowGrids = {
  features: Array.from({ length: FEATURES }, () => ({ kind: 'numeric', ...grid })),
  prediction: { kind: 'numeric', ...uniformGrid(0, 1, 64) },
};
const shape: MonitorShape = { features: [], grids, predicts: true, reference: null };

function windowOf(): WindowSketch {
  const window = emptyWindow(grids);
  for (const feature of window.features) {
    if (feature.kind !== 'numeric') continue;
    for (let row = 0; row < ROWS; row += 1) addNumeric(feature, grid, gaussian());
  }
  for (let row = 0; row < ROWS; row += 1) addLatency(window.latency, 100 + 50 * random());
  return Object.assign(window, { rows: ROWS, requests: ROWS });
}

const bodies = Array.from({ length: DIFFERENT }, () => encodeWindow(windowOf()));

/** What every window costs before the database: decode, check, and, where its row is there already, fold and encode. */
function inMemory(): { readonly first: number; readonly folded: number; readonly rolled: number } {
  const first = rate(HOSTS, (at) => {
    const decoded = decodeOnGrids(bodies[at % DIFFERENT], grids);
    if (decoded.kind === 'refused') throw new Error(decoded.detail);
    foldWindow(null, decoded.window, bodies[at % DIFFERENT]);
  });
  const folded = rate(HOSTS, (at) => {
    const decoded = decodeOnGrids(bodies[at % DIFFERENT], grids);
    if (decoded.kind === 'refused') throw new Error(decoded.detail);
    foldWindow(bodies[(at + 1) % DIFFERENT], decoded.window);
  });
  const counts = { parts: 1, requests: ROWS, rows: ROWS, errors: 0 };
  const hour = bodies.slice(0, 12).map((body) => ({ ...counts, body }));
  const rolled = rate(HOSTS, () => sumUp(hour)) * hour.length;
  return { first, folded, rolled };
}

/** Feature-windows a second, each call being one window of FEATURES. */
function rate(calls: number, work: (at: number) => void): number {
  const start = performance.now();
  for (let at = 0; at < calls; at += 1) work(at);
  return (calls * FEATURES * 1000) / (performance.now() - start);
}

async function stored(): Promise<{ readonly merged: number; readonly rolled: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'driftline-bench-'));
  const store = await Store.open(folder);
  try {
    const names = { name: 'd', model: 'm', version: 1, selector: {}, windowMs: WINDOW_MS };
    await store.write((tx) => insertDeployment(tx, { ...names, createdAt: 0, updatedAt: 0 }));
    const assigned = Array.from({ length: HOSTS }, (_, host) => `agt_${host}`);
    await store.write((tx) =>
      insertAssignments(
        tx,
        assigned.map((agentId) => ({ agentId, deployment: 'd' })),
      ),
    );
    const now = () => Date.now();
    const fail = (what: string) => {
      throw new Error(what);
    };
    const ingest = new Ingest({
      ...{ store, now, shapeOf: async () => shape, onMerged: () => undefined },
      onRefused: (_, { detail }) => fail(detail),
    });
    let start = performance.now();
    const added: Promise<void>[] = [];
    for (let at = 0; at < WINDOWS; at += 1) {
      for (let host = 0; host < HOSTS; host += 1) {
        added.push(
          ingest.add({
            ...{ agentId: `agt_${host}`, boot: 'b', sequence: at + 1, deployment: 'd' },
            ...{ manifest: DIGEST, arm: 'stable', windowMs: WINDOW_MS },
            windowStartMs: at * WINDOW_MS,
            windows: 1,
            body: bodies[(at + host) % DIFFERENT],
          }),
        );
      }
    }
    await Promise.all(added);
    const merged = (added.length * FEATURES * 1000) / (performance.now() - start);
    const retention = keepWindows({ store, now, onFailure: (where) => fail(where) });
    start = performance.now();
    await retention.roll();
    const rolled = (added.length * FEATURES * 1000) / (performance.now() - start);
    await retention.close();
    return { merged, rolled };
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
const found = { first: [], folded: [], rolled: [], merged: [], made: [] } as Record<
  string,
  number[]
>;
inMemory();
for (let round = 0; round < ROUNDS; round += 1) {
  const memory = inMemory();
  const database = await stored();
  found.first.push(memory.first);
  found.folded.push(memory.folded);
  found.rolled.push(memory.rolled);
  found.merged.push(database.merged);
  found.made.push(database.rolled);
}
const NAMES: Readonly<Record<string, string>> = {
  first: 'in memory: decode and check, first of its row',
  folded: 'in memory: decode, check, fold into its row, encode',
  rolled: 'in memory: an hour of 12 windows added up',
  merged: `into the database: ${HOSTS} hosts × ${WINDOWS} windows, exactly once`,
  made: 'hours and days of all that made and stored',
};
const lines = Object.entries(found).map(([name, values]) => {
  const { median, q1, q3 } = quartiles(values);
  return [NAMES[name], ...[median, q1, q3].map((value) => Math.round(value).toLocaleString('en'))];
});
const head = [`feature-windows a second, windows of ${FEATURES}`, 'median', 'q1', 'q3'];
process.stdout.write(`${table([head, ...lines])}\n\n`);
process.stdout.write(`${verdict('in memory, folded', atLeast(GOAL), quartiles(found.folded))}\n`);
process.stdout.write(`${verdict('into the database', atLeast(GOAL), quartiles(found.merged))}\n`);
