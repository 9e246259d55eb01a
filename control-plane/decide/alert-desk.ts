import type { Digest } from '../../protocol/ids.ts';
import { record } from '../audit/record.ts';
import {
  type AlertRow,
  escalateAlert,
  openAlert,
  openAlerts,
  resolveAlert,
  setDetail,
} from '../store/alerts.ts';
import type { Store, Transaction } from '../store/database.ts';
import { type AlertAction, alertActions, monitorAlerts, type OpenAlert } from './alert-policy.ts';
import { decomposeStreams, type StreamCause } from './drift-cause.ts';
import type { MonitorShape, MonitorState } from './drift-monitor.ts';
import type { HostDrift } from './host-drift.ts';
import type { Span } from './monitors.ts';
import { type Stream, streamKey } from './stream.ts';
import { severities } from './stream-state.ts';

/** What a host's detector opens, and for how long after it last fired. */
const HOST_ALERT = 'concept-drift' as const;
const HOST_DRIFT_MS = 3_600_000;

/** The version that alerts are about. */
export interface Subject {
  readonly name: string;
  readonly version: number;
  readonly manifest: Digest;
}

export interface Occasion {
  readonly span: Span;
  /** Why a column moved, where more than one host sends it. */
  readonly cause: ReadonlyMap<string, StreamCause>;
  readonly now: number;
}

/** Turns what the monitor has found into alerts, once each. */
export class AlertDesk {
  readonly #store: Store;
  /** Alerts that are not opened because only the mix of hosts changed: recorded once. */
  readonly #withheld = new Set<string>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Asked before the transaction, and only when there is something to explain: it reads the hosts' windows. */
  async causes(
    name: string,
    manifest: Digest,
    shape: MonitorShape,
    state: MonitorState,
    span: Span,
  ): Promise<ReadonlyMap<string, StreamCause>> {
    const open = openOf(await openAlerts(this.#store.read, name, manifest));
    const streams = alertActions(state, open).flatMap((action) =>
      action.kind === 'open' ? action.streams : [],
    );
    return decomposeStreams(this.#store.read, name, manifest, shape, streams, span);
  }

  async settle(
    tx: Transaction,
    subject: Subject,
    state: MonitorState,
    occasion: Occasion,
  ): Promise<void> {
    const { name, manifest } = subject;
    const rows = await openAlerts(tx, name, manifest);
    for (const { kind, detail } of rows) {
      const over =
        typeof detail.lastAt === 'number' && occasion.now - detail.lastAt >= HOST_DRIFT_MS;
      if (kind === HOST_ALERT && over) await this.#close(tx, subject, HOST_ALERT, occasion.now);
    }
    const actions = alertActions(state, openOf(rows));
    for (const kind of monitorAlerts) {
      const calm = !actions.some((action) => action.alert === kind && action.kind === 'open');
      if (calm) this.#withheld.delete(`${name} ${kind}`);
    }
    for (const action of actions) {
      if (action.kind === 'close') await this.#close(tx, subject, action.alert, occasion.now);
      else if (this.#isMix(action, occasion)) await this.#withhold(tx, subject, action, occasion);
      else await this.#raise(tx, subject, action, occasion);
    }
  }

  /**
   * A detector that has no budget and no calm: its alert ends HOST_DRIFT_MS after it last fired, and becomes the monitor's
   * own as soon as that one is sure.
   */
  async hostDrift(tx: Transaction, subject: Subject, found: HostDrift, now: number): Promise<void> {
    const { name, version, manifest } = subject;
    const { agent, detector, said } = found;
    const stream = { stream: 'label-errors', detector, agent, said };
    const detail = { version, severity: 'low', detector, lastAt: now, streams: [stream] };
    const open = (await openAlerts(tx, name, manifest)).find(({ kind }) => kind === HOST_ALERT);
    if (open !== undefined) {
      if (open.detail.detector !== undefined) await setDetail(tx, open.id, detail);
      return;
    }
    const row = { deployment: name, manifest, kind: HOST_ALERT, detail, openedAt: now };
    const alert = await openAlert(tx, row);
    const about = `deployment:${name}`;
    await record(tx, now, 'system', 'alert.raised', about, { alert, kind: HOST_ALERT, ...detail });
  }

  /** A version that no longer serves can't calm down by itself. */
  async retire(tx: Transaction, name: string, manifest: Digest, now: number): Promise<void> {
    for (const { kind, detail } of await openAlerts(tx, name, manifest)) {
      // A rollout's own alert ends with the rollout, and one of guards when hosts have left what they went back to.
      if (detail.rollout !== undefined || kind === 'guard-tripped') continue;
      const alert = await resolveAlert(tx, name, manifest, kind, now);
      const reason = 'another version serves now';
      const subject = `deployment:${name}`;
      await record(tx, now, 'system', 'alert.resolved', subject, { alert, kind, reason });
    }
  }

  async #close(
    tx: Transaction,
    { name, manifest }: Subject,
    kind: AlertAction['alert'],
    now: number,
  ): Promise<void> {
    const alert = await resolveAlert(tx, name, manifest, kind, now);
    await record(tx, now, 'system', 'alert.resolved', `deployment:${name}`, { alert, kind });
  }

  async #raise(
    tx: Transaction,
    { name, version, manifest }: Subject,
    action: Raised,
    { span, cause, now }: Occasion,
  ): Promise<void> {
    const { alert: kind, severity } = action;
    const streams = action.streams.map((stream) => evidenceOf(stream, cause));
    const detail = { version, severity, ...span, streams };
    const about = `deployment:${name}`;
    const found = (await openAlerts(tx, name, manifest)).find((one) => one.kind === kind);
    if (action.kind === 'escalate' || found?.detail.detector !== undefined) {
      const alert = await escalateAlert(tx, name, manifest, kind, detail, now);
      if (alert === null) return;
      await record(tx, now, 'system', 'alert.escalated', about, { alert, kind, ...detail });
      return;
    }
    const alert = await openAlert(tx, { deployment: name, manifest, kind, detail, openedAt: now });
    // A rollout has one of this kind open for this version: it tells the same.
    if (alert === null) return;
    await record(tx, now, 'system', 'alert.raised', about, { alert, kind, ...detail });
  }

  /** Every column of it moved only because other hosts send than before: nothing that a model could be blamed for. */
  #isMix(action: Raised, { cause }: Occasion): boolean {
    const drift = action.alert === 'input-drift' || action.alert === 'prediction-drift';
    return (
      drift &&
      action.kind === 'open' &&
      action.streams.every((stream) => cause.get(streamKey(stream))?.cause === 'mix')
    );
  }

  async #withhold(
    tx: Transaction,
    { name, version }: Subject,
    { alert: kind, streams }: Raised,
    { span, cause, now }: Occasion,
  ): Promise<void> {
    const key = `${name} ${kind}`;
    if (this.#withheld.has(key)) return;
    this.#withheld.add(key);
    const reason = 'which hosts send changed, and not what they send';
    const moved = streams.map((stream) => evidenceOf(stream, cause));
    const detail = { kind, version, reason, ...span, streams: moved };
    await record(tx, now, 'system', 'alert.withheld', `deployment:${name}`, detail);
  }
}

type Raised = AlertAction & { readonly kind: 'open' | 'escalate' };

function evidenceOf(stream: Stream, cause: ReadonlyMap<string, StreamCause>) {
  const key = streamKey(stream);
  const { state, last } = stream;
  const since = state.kind === 'alert' ? { severity: state.severity, sinceMs: state.sinceMs } : {};
  const why = cause.get(key);
  return { stream: key, ...since, ...last, ...(why === undefined ? {} : { hosts: why }) };
}

/** Alerts that the monitor keeps; a rollout's own have other causes and another end. */
function openOf(rows: readonly AlertRow[]): readonly OpenAlert[] {
  return rows.flatMap(({ kind, detail }): OpenAlert[] => {
    const known = monitorAlerts.find((one) => one === kind);
    const others = detail.rollout !== undefined || detail.detector !== undefined;
    if (known === undefined || others) return [];
    return [{ kind: known, severity: severities.find((one) => one === detail.severity) ?? 'low' }];
  });
}
