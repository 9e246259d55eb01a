import type { AgentId, Digest } from '../../protocol/ids.ts';
import { type MonitoringInForce, monitoringInForce } from '../../protocol/monitoring.ts';
import type { MergedWindow } from '../merge/ingest.ts';
import { manifestsWithOpenAlerts } from '../store/alerts.ts';
import type { Store } from '../store/database.ts';
import { type DeploymentRow, findDeployment } from '../store/deployments.ts';
import { driftStreamsOf, putDriftStreams } from '../store/drift-streams.ts';
import { findVersion } from '../store/models.ts';
import { AlertDesk } from './alert-desk.ts';
import { addToBlock, type Block, emptyBlock, isRipe, nextBlock } from './block.ts';
import { judgeBlock, judgeLabels, type MonitorShape, type MonitorState } from './drift-monitor.ts';
import { parseHostDrift } from './host-drift.ts';
import { addLabels, emptyLane, isLabelRipe, type LabelLane } from './label-lane.ts';
import { labelledRows } from './performance-signal.ts';
import { SeasonalReferences } from './seasonal-references.ts';
import { monitorRows, restoreMonitor } from './stored-monitor.ts';
import { NEW_STREAM } from './stream-state.ts';

export interface MonitorsDeps {
  readonly store: Store;
  readonly shapeOf: (manifest: Digest) => Promise<MonitorShape | null>;
  readonly now: () => number;
}

interface Monitored {
  readonly manifest: Digest;
  readonly shape: MonitorShape;
  /** Of the row that `config` was read from; another configuration may have other streams. */
  readonly configuredAs: string;
  readonly config: MonitoringInForce;
  state: MonitorState;
  block: Block;
  lane: LabelLane | null;
  /** Hosts of the block before. */
  hosts: ReadonlySet<string>;
}

/**
 * The stable versions of all deployments against their profiles, block by block. What waits for company is in memory;
 * after a crash a block (fewer than 200 rows) and labels (fewer than 50) begin anew.
 */
export class Monitors {
  readonly #deps: MonitorsDeps;
  readonly #alerts: AlertDesk;
  readonly #seasonal: SeasonalReferences;
  readonly #monitored = new Map<string, Monitored>();

  constructor(deps: MonitorsDeps) {
    this.#deps = deps;
    this.#alerts = new AlertDesk(deps.store);
    this.#seasonal = new SeasonalReferences(deps.store);
  }

  /** Takes in a committed group. */
  async take(merged: readonly MergedWindow[]): Promise<void> {
    for (const name of new Set(merged.map((one) => one.item.deployment))) {
      const deployment = await findDeployment(this.#deps.store.read, name);
      const monitored = deployment === null ? null : await this.#monitoredOf(deployment);
      if (deployment === null || monitored === null) continue;
      for (const { item, window } of merged) {
        const ours = item.deployment === name && item.manifest === monitored.manifest;
        if (ours && item.arm === 'stable') await this.#add(deployment, monitored, item, window);
      }
    }
  }

  /** `detail` is what the host says of it, with `deployment=`, `manifest=`, `arm=` and `detector=` in it. */
  async hostDrift(agent: AgentId, detail: string): Promise<void> {
    const found = parseHostDrift(agent, detail);
    if (found === null) return;
    const deployment = await findDeployment(this.#deps.store.read, found.deployment);
    const monitored = deployment === null ? null : await this.#monitoredOf(deployment);
    if (deployment === null || monitored?.manifest !== found.manifest) return;
    const { name, version } = deployment;
    const subject = { name, version, manifest: found.manifest };
    await this.#deps.store.write((tx) =>
      this.#alerts.hostDrift(tx, subject, found, this.#deps.now()),
    );
  }

  async #add(
    deployment: DeploymentRow,
    monitored: Monitored,
    { windowStartMs, windowMs, agentId }: MergedWindow['item'],
    window: MergedWindow['window'],
  ): Promise<void> {
    const { outcome } = window;
    const { lane, state, shape, config } = monitored;
    if (lane !== null && outcome !== null && labelledRows(outcome) > 0) {
      addLabels(lane, outcome);
      const now = this.#deps.now();
      if (isLabelRipe(lane, state.labelsJudgedMs, deployment.windowMs, now)) {
        const { windowMs: every } = deployment;
        const next = judgeLabels(state, shape, config, lane.outcome, every, now);
        monitored.lane = laneOf(shape);
        await this.#keep(deployment, monitored, next, spanOf(now, labelledRows(lane.outcome)));
      }
    }
    // Labels of other windows say nothing of this hour's traffic.
    if (window.requests === 0 && window.rows === 0) return;
    addToBlock(monitored.block, window, windowStartMs, windowMs, agentId);
    const awaited = { hosts: monitored.hosts, windowMs: deployment.windowMs };
    if (isRipe(monitored.block, monitored.state.judgedUntilMs, awaited)) {
      await this.#judge(deployment, monitored);
    }
  }

  async #judge(deployment: DeploymentRow, monitored: Monitored): Promise<void> {
    const { block, shape, state, config, manifest } = monitored;
    const seasonal =
      config.seasonal === 'none'
        ? null
        : await this.#seasonal.of(deployment.name, manifest, shape.grids, block);
    const next = judgeBlock(state, shape, config, block, deployment.windowMs, seasonal);
    monitored.block = nextBlock(block, shape.grids);
    monitored.hosts = block.hosts;
    const { startMs, endMs, windows } = block;
    await this.#keep(deployment, monitored, next, {
      ...{ startMs, endMs, windows, rows: block.window.rows },
    });
  }

  /** Writes what a step has changed, and tells people. */
  async #keep(
    { name, version }: DeploymentRow,
    monitored: Monitored,
    next: MonitorState,
    span: Span,
  ): Promise<void> {
    const { manifest, state: before, shape } = monitored;
    monitored.state = next;
    const now = this.#deps.now();
    const cause = await this.#alerts.causes(name, manifest, shape, next, span);
    await this.#deps.store.write(async (tx) => {
      await putDriftStreams(tx, monitorRows(name, manifest, next, before, now));
      await this.#alerts.settle(tx, { name, version, manifest }, next, { span, cause, now });
    });
  }

  async #monitoredOf(deployment: DeploymentRow): Promise<Monitored | null> {
    const { name, model, version, monitoring } = deployment;
    const row = await findVersion(this.#deps.store.read, model, version);
    if (row === null) return null;
    const { manifest } = row;
    const configuredAs = JSON.stringify(monitoring);
    const known = this.#monitored.get(name);
    if (known?.manifest === manifest && known.configuredAs === configuredAs) return known;
    const shape = await this.#deps.shapeOf(manifest);
    if (shape === null) return null;
    if (known?.manifest !== manifest) await this.#leaveOthers(deployment, manifest);
    const config = monitoringInForce(monitoring);
    const stored = await driftStreamsOf(this.#deps.store.read, name, manifest);
    const fresh: Monitored = {
      ...{ manifest, shape, config, configuredAs },
      state: restoreMonitor(shape, config, stored),
      block: emptyBlock(shape.grids),
      lane: laneOf(shape),
      hosts: new Set(),
    };
    this.#monitored.set(name, fresh);
    return fresh;
  }

  /**
   * Ends the alerts of versions that this deployment no longer serves, also of those left while nobody was looking, and
   * their streams' alarms: when such a version comes back, what it does then is judged.
   */
  async #leaveOthers({ name, monitoring }: DeploymentRow, manifest: Digest): Promise<void> {
    const { store, now, shapeOf } = this.#deps;
    const config = monitoringInForce(monitoring);
    for (const other of await manifestsWithOpenAlerts(store.read, name)) {
      const shape = other === manifest ? null : await shapeOf(other);
      if (shape === null) continue;
      const left = restoreMonitor(shape, config, await driftStreamsOf(store.read, name, other));
      const streams = left.streams.map((stream) =>
        stream.state.kind === 'alert' ? { ...stream, state: NEW_STREAM } : stream,
      );
      await store.write(async (tx) => {
        await putDriftStreams(tx, monitorRows(name, other, { ...left, streams }, left, now()));
        await this.#alerts.retire(tx, name, other, now());
      });
    }
  }
}

/** What a step was made of: part of an alert's evidence. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
  readonly windows: number;
  readonly rows: number;
}

function spanOf(now: number, rows: number): Span {
  return { startMs: now, endMs: now, windows: 0, rows };
}

function laneOf({ grids }: MonitorShape): LabelLane | null {
  return grids.outcome ? emptyLane(grids.outcome) : null;
}
