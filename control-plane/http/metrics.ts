import { z } from 'zod';
import { Family } from '../../protocol/prometheus-text.ts';
import { countInService } from '../store/agents.ts';
import { listAlerts } from '../store/alerts.ts';
import { currentGeneration } from '../store/counters.ts';
import type { Reader, Store } from '../store/database.ts';
import { refusalCounts } from '../store/refusals.ts';
import type { Api } from './api.ts';
import type { DownloadSlots } from './download-slots.ts';
import { LoopDelay } from './loop-delay.ts';
import type { DeploymentFigures, Fleet, Monitoring } from './services.ts';

/** Streams of one scrape: a deployment of 4,096 features has as many. The rest is counted as left out. */
export const MAX_STREAM_SERIES = 10_000;
const ALERT_PAGE = 500;
/** Alerts of one scrape; the oldest are left out first. */
const MAX_ALERT_PAGES = 20;

const STATES = ['insufficient', 'ok', 'watch', 'alert'] as const;

export interface MetricsDeps {
  readonly store: Store;
  readonly monitoring: Monitoring;
  readonly fleet: Fleet;
  readonly downloads: DownloadSlots;
}

/** `/metrics` for Prometheus. It names deployments and features, so it asks for a token like any other read. */
export function mountMetrics(api: Api, { store, monitoring, fleet, downloads }: MetricsDeps): void {
  const loop = new LoopDelay();
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/metrics',
      summary:
        'Fleet, drift and alerts in the Prometheus text format; scrape with a viewer’s token',
      responses: {
        200: {
          description: 'Text format 0.0.4',
          content: { 'text/plain': { schema: z.string() } },
        },
      },
    },
    async (c) => {
      const families = [
        ...(await fleetFamilies(store.read, fleet.connected())),
        duplicateFamily(fleet),
        ...downloadFamilies(downloads),
        ...processFamilies(loop),
        ...driftFamilies(await monitoring.figures()),
        await alertFamily(store.read),
        await refusedFamily(store.read),
      ];
      const type = 'text/plain; version=0.0.4; charset=utf-8';
      return c.text(families.map(String).join(''), 200, { 'content-type': type });
    },
  );
}

async function fleetFamilies(db: Reader, connected: ReadonlySet<string>) {
  const one = (name: string, help: string, value: number) =>
    new Family(name, 'gauge', help).add({}, value);
  return [
    one('driftline_agents', 'Agents enrolled and not revoked', await countInService(db)),
    one('driftline_agents_connected', 'Of those, linked now', connected.size),
    one('driftline_generation', 'Newest generation given out', await currentGeneration(db)),
  ];
}

function duplicateFamily(fleet: Fleet): Family {
  const name = 'driftline_windows_duplicate_total';
  const help = 'Windows that came again and were not counted again';
  return new Family(name, 'counter', help).add({}, fleet.duplicateWindows());
}

function downloadFamilies({ active, refused }: DownloadSlots): readonly Family[] {
  const told = 'Downloads that were told to come back later';
  return [
    new Family('driftline_downloads_active', 'gauge', 'Artifacts being sent').add({}, active),
    new Family('driftline_downloads_refused_total', 'counter', told).add({}, refused),
  ];
}

/** Names as Prometheus' own client libraries have them. */
function processFamilies(loop: LoopDelay): readonly Family[] {
  const { user, system } = process.cpuUsage();
  const lag = new Family(
    'driftline_event_loop_delay_seconds',
    'gauge',
    'How late timers of the process were, over the last whole quarter of a minute',
  );
  for (const [quantile, seconds] of Object.entries(loop.seconds)) lag.add({ quantile }, seconds);
  return [
    lag,
    new Family('process_resident_memory_bytes', 'gauge', 'Resident memory').add(
      {},
      process.memoryUsage.rss(),
    ),
    new Family('process_cpu_seconds_total', 'counter', 'CPU time').add({}, (user + system) / 1e6),
  ];
}

/** Why telemetry of hosts is missing: '' is a deployment that does not exist. */
async function refusedFamily(db: Reader): Promise<Family> {
  const name = 'driftline_windows_refused_total';
  const refused = new Family(name, 'counter', 'Windows acknowledged and not merged');
  for (const { deployment, reason, windows } of await refusalCounts(db)) {
    refused.add({ deployment, reason }, windows);
  }
  return refused;
}

/** @param figures of all deployments */
export function driftFamilies(figures: readonly DeploymentFigures[]): readonly Family[] {
  const state = new Family(
    'driftline_drift_state',
    'gauge',
    'Of a watched stream: 0 insufficient data, 1 ok, 2 watch, 3 alert',
  );
  const psi = new Family(
    'driftline_drift_psi',
    'gauge',
    'Debiased PSI against the baseline, latest block',
  );
  const rows = new Family('driftline_drift_rows', 'gauge', 'Rows of the latest block');
  const version = new Family(
    'driftline_deployment_version',
    'gauge',
    'Version that the stable arm serves',
  );
  let left = MAX_STREAM_SERIES;
  let omitted = 0;
  for (const { deployment, version: number, drift } of figures) {
    version.add({ deployment }, number);
    for (const stream of drift) {
      if (left === 0) {
        omitted += 1;
        continue;
      }
      left -= 1;
      const labels = { deployment, stream: stream.stream };
      state.add(labels, STATES.indexOf(stream.verdict));
      if (stream.rows > 0) rows.add(labels, stream.rows);
      if (stream.debiasedPsi !== null) psi.add(labels, stream.debiasedPsi);
    }
  }
  const leftOut = new Family(
    'driftline_drift_streams_omitted',
    'gauge',
    `Streams beyond ${MAX_STREAM_SERIES} that this scrape leaves out`,
  ).add({}, omitted);
  return [version, state, psi, rows, leftOut];
}

async function alertFamily(db: Reader): Promise<Family> {
  const open = new Map<string, { deployment: string; kind: string; count: number }>();
  let cursor: number | null = null;
  for (let page = 0; page < MAX_ALERT_PAGES; page += 1) {
    const { items, next } = await listAlerts(db, { open: true }, cursor, ALERT_PAGE);
    for (const { deployment, kind } of items) {
      const key = `${deployment} ${kind}`;
      const known = open.get(key) ?? { deployment, kind, count: 0 };
      known.count += 1;
      open.set(key, known);
    }
    if (next === null) break;
    cursor = Number(next);
  }
  const family = new Family('driftline_alerts_open', 'gauge', 'Open alerts');
  for (const { deployment, kind, count } of open.values()) family.add({ deployment, kind }, count);
  return family;
}
