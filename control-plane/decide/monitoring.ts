import type { Digest } from '../../protocol/ids.ts';
import { ControlError } from '../error.ts';
import type { DriftView, Monitoring, MonitoringView } from '../http/services.ts';
import type { Store } from '../store/database.ts';
import { findDeployment } from '../store/deployments.ts';
import { driftStreamsOf } from '../store/drift-streams.ts';
import { findVersion, findVersionsByManifest } from '../store/models.ts';
import { windowCounts } from '../store/telemetry.ts';
import type { MonitorShape, Stream } from './drift-monitor.ts';
import { restoreMonitor, streamKey } from './stored-monitor.ts';

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
    const { model, version } = await this.#deployment(name);
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
    const streams = restoreMonitor(shape, rows).streams.map((stream) => ({
      ...viewOf(stream),
      updatedAt: updatedAt.get(streamKey(stream)) ?? null,
    }));
    const verdict = worst(streams.map((stream) => stream.verdict));
    return { deployment: name, model, version, manifest: row.manifest, verdict, streams };
  }

  async windows(name: string, fromMs: number, toMs: number): Promise<MonitoringView> {
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

  async #deployment(name: string) {
    const row = await findDeployment(this.#store.read, name);
    if (row === null) throw new ControlError('not-found', `no deployment "${name}"`);
    return row;
  }
}

function viewOf(stream: Stream): Omit<DriftView['streams'][number], 'updatedAt'> {
  const { name, state, last } = stream;
  const base = { stream: streamKey(stream), name, verdict: state.kind };
  if (last === null) return { ...base, rows: 0, psi: null, debiasedPsi: null, logP: null };
  if (last.kind === 'rate') {
    return { ...base, rows: last.trials, psi: null, debiasedPsi: null, logP: null };
  }
  const { psi, psiDebiased: debiasedPsi, logP } = last;
  return { ...base, rows: last.rows.current, psi, debiasedPsi, logP };
}

/** Nothing known of any stream is "insufficient"; one that is fine doesn't hide one that isn't. */
function worst(verdicts: readonly Verdict[]): Verdict {
  const order: readonly Verdict[] = ['alert', 'watch', 'ok'];
  return order.find((verdict) => verdicts.includes(verdict)) ?? 'insufficient';
}
