import type { Digest } from '../../protocol/ids.ts';
import { monitoringInForce } from '../../protocol/monitoring.ts';
import { ControlError } from '../error.ts';
import type { MonitoringView } from '../http/monitoring-view.ts';
import type { DeploymentFigures, DriftView, Monitoring, WindowsView } from '../http/services.ts';
import type { MonitoringQuery } from '../reading/query.ts';
import { PeriodReader } from '../reading/reader.ts';
import type { ReportData } from '../report/report-data.ts';
import type { Store } from '../store/database.ts';
import { findDeployment, listDeployments } from '../store/deployments.ts';
import { driftStreamsOf } from '../store/drift-streams.ts';
import { findVersion, findVersionsByManifest } from '../store/models.ts';
import { refusalsOf } from '../store/refusals.ts';
import { windowCounts } from '../store/telemetry.ts';
import type { MonitorShape } from './drift-monitor.ts';
import { restoreMonitor } from './stored-monitor.ts';
import { type Stream, streamKey } from './stream.ts';

/** Deployments read at a time. */
const FIGURES_PAGE = 100;

type Verdict = DriftView['verdict'];

/** What people see of the windows and of what the monitor made of them. Reads only. */
export class MonitoringReader implements Monitoring {
  readonly #store: Store;
  readonly #shapeOf: (manifest: Digest) => Promise<MonitorShape | null>;

  constructor(store: Store, shapeOf: (manifest: Digest) => Promise<MonitorShape | null>) {
    this.#store = store;
    this.#shapeOf = shapeOf;
  }

  async drift(name: string): Promise<DriftView> {
    const { model, version, monitoring } = await this.#deployment(name);
    const row = await findVersion(this.#store.read, model, version);
    const shape = row === null ? null : await this.#shapeOf(row.manifest);
    if (row === null || shape === null) {
      throw new ControlError(
        'unavailable',
        `"${name}" points at ${model}@${version}, which is gone`,
      );
    }
    const rows = await driftStreamsOf(this.#store.read, name, row.manifest);
    const updatedAt = new Map(rows.map((stored) => [stored.stream, stored.updatedAt]));
    const streams = restoreMonitor(shape, monitoringInForce(monitoring), rows).streams.map(
      (stream) => ({
        ...viewOf(stream),
        updatedAt: updatedAt.get(streamKey(stream)) ?? null,
      }),
    );
    const verdict = worst(streams.map((stream) => stream.verdict));
    const refused = (await refusalsOf(this.#store.read, name)).map(
      ({ deployment: _, ...refusal }) => refusal,
    );
    return { deployment: name, model, version, manifest: row.manifest, verdict, streams, refused };
  }

  async windows(name: string, fromMs: number, toMs: number): Promise<WindowsView> {
    await this.#deployment(name);
    const counted = await windowCounts(this.#store.read, name, fromMs, toMs);
    const manifests = [...new Set(counted.map((row) => row.manifest))];
    const versions = await findVersionsByManifest(this.#store.read, manifests);
    const versionOf = new Map(versions.map((row) => [row.manifest, row.version]));
    const totals = { windows: 0, requests: 0, rows: 0, errors: 0 };
    const windows = counted.flatMap(({ parts, ...row }) => {
      const version = versionOf.get(row.manifest);
      if (version === undefined) return [];
      totals.windows += parts;
      totals.requests += row.requests;
      totals.rows += row.rows;
      totals.errors += row.errors;
      return [{ ...row, version }];
    });
    return { deployment: name, windows, totals };
  }

  read(name: string, query: MonitoringQuery, now: number): Promise<MonitoringView> {
    return new PeriodReader(this.#store, this.#shapeOf).read(name, query, now);
  }

  report(name: string, query: MonitoringQuery, now: number): Promise<ReportData> {
    return new PeriodReader(this.#store, this.#shapeOf).report(name, query, now);
  }

  /** One query per deployment and page; a deployment whose version is gone is left out. */
  async figures(): Promise<readonly DeploymentFigures[]> {
    const figures: DeploymentFigures[] = [];
    for (let after = ''; ; ) {
      const page = await listDeployments(this.#store.read, after, FIGURES_PAGE);
      for (const { name } of page.items) {
        const view = await this.drift(name).catch((error: unknown) => {
          if (error instanceof ControlError) return null;
          throw error;
        });
        if (view === null) continue;
        figures.push({ deployment: name, version: view.version, drift: view.streams });
      }
      if (page.next === null) return figures;
      after = page.next;
    }
  }

  async #deployment(name: string) {
    const row = await findDeployment(this.#store.read, name);
    if (row === null) throw new ControlError('not-found', `no deployment "${name}"`);
    return row;
  }
}

function viewOf(stream: Stream): Omit<DriftView['streams'][number], 'updatedAt'> {
  const { kind, name, state, last } = stream;
  const verdict = VERDICT_OF[state.kind];
  const severity = state.kind === 'alert' ? state.severity : null;
  const base = { stream: streamKey(stream), kind, name, verdict, severity };
  const none = { psi: null, debiasedPsi: null, logP: null };
  if (last === null) return { ...base, ...none, rows: 0, effect: null };
  const { effect } = last;
  switch (last.kind) {
    case 'distance': {
      const { psi, psiDebiased: debiasedPsi, logP, rows } = last;
      return { ...base, rows: rows.current, psi, debiasedPsi, logP, effect };
    }
    case 'rate':
    case 'latency':
      return { ...base, ...none, rows: last.trials, effect };
    case 'gap':
      return { ...base, ...none, rows: last.rows, effect };
    case 'level':
      return { ...base, ...none, rows: last.rows, logP: last.logP, effect };
  }
}

/** After an alert a stream is fine, and kept quiet for a while. */
const VERDICT_OF: Record<Stream['state']['kind'], Verdict> = {
  insufficient: 'insufficient',
  ok: 'ok',
  watch: 'watch',
  alert: 'alert',
  cooling: 'ok',
};

/** Nothing known of any stream is "insufficient"; one that is fine doesn't hide one that isn't. */
function worst(verdicts: readonly Verdict[]): Verdict {
  const order: readonly Verdict[] = ['alert', 'watch', 'ok'];
  return order.find((verdict) => verdicts.includes(verdict)) ?? 'insufficient';
}
