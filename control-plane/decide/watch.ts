import type { Digest } from '../../protocol/ids.ts';
import { record } from '../audit/record.ts';
import { decodeOnGrids } from '../merge/fold.ts';
import type { MergedWindow } from '../merge/ingest.ts';
import type { EvidenceSource } from '../rollout/driver.ts';
import type { StoredRollout } from '../rollout/stored-rollout.ts';
import { openAlert, openAlerts, resolveAlert } from '../store/alerts.ts';
import type { Store, Transaction } from '../store/database.ts';
import { type DeploymentRow, findDeployment } from '../store/deployments.ts';
import { driftStreamsOf, putDriftStream } from '../store/drift-streams.ts';
import { findVersion } from '../store/models.ts';
import { windowsBetween } from '../store/telemetry.ts';
import { alertActions } from './alert-policy.ts';
import { addToBlock, type Block, emptyBlock, isRipe } from './block.ts';
import {
  type ArmEvidence,
  type ArmLedger,
  addArmWindow,
  newLedger,
  readEvidence,
} from './compare-arms.ts';
import { judgeBlock, type MonitorShape, type MonitorState } from './drift-monitor.ts';
import { restoreMonitor, streamKey, streamRow } from './stored-monitor.ts';

export interface WatchDeps {
  readonly store: Store;
  readonly shapeOf: (manifest: Digest) => Promise<MonitorShape | null>;
  readonly now: () => number;
  /** A followed rollout has more evidence. Must not throw. */
  readonly onEvidence: (rollout: string) => void;
  readonly onFailure: (where: string, error: unknown) => void;
}

interface Followed {
  readonly rollout: StoredRollout;
  readonly ledger: ArmLedger;
}

interface Monitored {
  readonly manifest: Digest;
  readonly shape: MonitorShape;
  state: MonitorState;
  block: Block;
}

/**
 * Looks at what was merged: rollouts' two arms against each other, stable versions against their
 * profiles. Sketches that wait for company are in memory; after a crash a rollout's are read again
 * from the database, a monitor's block (fewer than 200 rows) begins anew.
 */
export class Watch implements EvidenceSource {
  readonly #deps: WatchDeps;
  readonly #followed = new Map<string, Followed>();
  readonly #monitored = new Map<string, Monitored>();
  #tail: Promise<void> = Promise.resolve();

  constructor(deps: WatchDeps) {
    this.#deps = deps;
  }

  /** Begins to gather a rollout's evidence, with what the database has of it already. */
  async follow(rollout: StoredRollout): Promise<void> {
    const { plan, row, state } = rollout;
    const stable = await this.#deps.shapeOf(plan.stable.manifest);
    const candidate = await this.#deps.shapeOf(plan.candidate.manifest);
    if (stable === null || candidate === null) return;
    const followed = { rollout, ledger: newLedger({ stable, candidate }) };
    for (const arm of ['stable', 'candidate'] as const) {
      const { manifest } = plan[arm];
      const since = state.startedAtMs - plan.windowMs;
      const rows = await windowsBetween(
        this.#deps.store.read,
        row.deployment,
        since,
        Number.MAX_SAFE_INTEGER,
        manifest,
      );
      for (const stored of rows) {
        if (stored.arm !== arm) continue;
        const decoded = decodeOnGrids(stored.body, followed.ledger.shapes[arm].grids);
        if (decoded.kind === 'refused') continue;
        const { windowStartMs, windowMs } = stored;
        addArmWindow(followed.ledger, arm, windowStartMs, windowMs, decoded.window);
      }
    }
    this.#followed.set(row.id, followed);
  }

  unfollow(id: string): void {
    this.#followed.delete(id);
  }

  evidenceOf(id: string): ArmEvidence | null {
    const followed = this.#followed.get(id);
    return followed === undefined ? null : readEvidence(followed.ledger);
  }

  /** Takes in a committed group. Rollouts are told at once, monitors follow behind. */
  note(merged: readonly MergedWindow[]): void {
    for (const followed of this.#followed.values()) {
      const grown = merged.filter((one) => addToLedger(followed, one)).length;
      if (grown > 0) this.#deps.onEvidence(followed.rollout.row.id);
    }
    this.#tail = this.#tail
      .then(() => this.#monitor(merged))
      .catch((error: unknown) => this.#deps.onFailure('drift monitor', error));
  }

  /** Resolves when everything noted so far has been judged and written. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  async #monitor(merged: readonly MergedWindow[]): Promise<void> {
    const names = new Set(merged.map((one) => one.item.deployment));
    for (const name of names) {
      const deployment = await findDeployment(this.#deps.store.read, name);
      const monitored = deployment === null ? null : await this.#monitoredOf(deployment);
      if (deployment === null || monitored === null) continue;
      for (const { item, window } of merged) {
        const ours = item.deployment === name && item.manifest === monitored.manifest;
        if (!ours || item.arm !== 'stable') continue;
        addToBlock(monitored.block, window, item.windowStartMs, item.windowMs);
        if (isRipe(monitored.block, monitored.state.judgedUntilMs)) {
          await this.#judge(deployment, monitored);
        }
      }
    }
  }

  async #judge(deployment: DeploymentRow, monitored: Monitored): Promise<void> {
    const { block, shape } = monitored;
    monitored.state = judgeBlock(monitored.state, shape, block, deployment.windowMs);
    monitored.block = emptyBlock(shape.grids);
    const now = this.#deps.now();
    await this.#deps.store.write(async (tx) => {
      const { name } = deployment;
      const { manifest, state } = monitored;
      for (const stream of state.streams) {
        await putDriftStream(tx, streamRow(name, manifest, state, stream, now));
      }
      await this.#alert(tx, deployment, monitored, block, now);
    });
  }

  async #alert(
    tx: Transaction,
    deployment: DeploymentRow,
    monitored: Monitored,
    block: Block,
    now: number,
  ): Promise<void> {
    const { name, version } = deployment;
    const { manifest, state } = monitored;
    const subject = `deployment:${name}`;
    const open = new Set((await openAlerts(tx, name, manifest)).map((alert) => alert.kind));
    for (const action of alertActions(state, open)) {
      const kind = action.alert;
      if (action.kind === 'close') {
        const alert = await resolveAlert(tx, name, manifest, kind, now);
        await record(tx, now, 'system', 'alert.resolved', subject, { alert, kind });
        continue;
      }
      const streams = action.streams.map((stream) => ({
        stream: streamKey(stream),
        ...stream.last,
      }));
      const { startMs, endMs, windows } = block;
      const detail = { version, windows, startMs, endMs, rows: block.window.rows, streams };
      const alert = await openAlert(tx, {
        deployment: name,
        manifest,
        kind,
        detail,
        openedAt: now,
      });
      await record(tx, now, 'system', 'alert.raised', subject, { alert, kind, ...detail });
    }
  }

  async #monitoredOf(deployment: DeploymentRow): Promise<Monitored | null> {
    const { name, model, version } = deployment;
    const row = await findVersion(this.#deps.store.read, model, version);
    if (row === null) return null;
    const { manifest } = row;
    const known = this.#monitored.get(name);
    if (known?.manifest === manifest) return known;
    const shape = await this.#deps.shapeOf(manifest);
    if (shape === null) return null;
    if (known !== undefined) await this.#retire(name, known.manifest);
    const stored = await driftStreamsOf(this.#deps.store.read, name, manifest);
    const state = restoreMonitor(shape, stored);
    const fresh = { manifest, shape, state, block: emptyBlock(shape.grids) };
    this.#monitored.set(name, fresh);
    return fresh;
  }

  /** A version that no longer serves can't calm down by itself. */
  async #retire(name: string, manifest: Digest): Promise<void> {
    const now = this.#deps.now();
    await this.#deps.store.write(async (tx) => {
      for (const { kind, detail } of await openAlerts(tx, name, manifest)) {
        // A rollout's own alert ends with the rollout.
        if (detail.rollout !== undefined) continue;
        const alert = await resolveAlert(tx, name, manifest, kind, now);
        const reason = 'another version serves now';
        const subject = `deployment:${name}`;
        await record(tx, now, 'system', 'alert.resolved', subject, { alert, kind, reason });
      }
    });
  }
}

function addToLedger(followed: Followed, { item, window }: MergedWindow): boolean {
  const { row, plan, state } = followed.rollout;
  if (item.deployment !== row.deployment) return false;
  // Who names a version chooses the traffic it gets: no fair comparison.
  if (item.arm === 'pinned' || item.manifest !== plan[item.arm].manifest) return false;
  // A late outbox may bring windows of an earlier rollout of the same version.
  if (item.windowStartMs < state.startedAtMs - plan.windowMs) return false;
  addArmWindow(followed.ledger, item.arm, item.windowStartMs, item.windowMs, window);
  return true;
}
