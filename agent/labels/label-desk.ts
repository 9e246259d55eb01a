import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DecisionRecord } from '../../protocol/decision.ts';
import { nameSchema } from '../../protocol/ids.ts';
import { type Monitoring, monitoringInForce } from '../../protocol/monitoring.ts';
import type { DecisionBatch } from '../engine/decision-batch.ts';
import type { Answer } from '../engine/host.ts';
import type { WindowMessage } from '../engine/messages.ts';
import { LABEL_STATUSES, type LabelStatus, type PostedLabel } from '../engine/posted-label.ts';
import { messageOf } from '../error.ts';
import { DecisionLog, soughtBy } from './decision-log.ts';
import { DeploymentLabels } from './deployment-labels.ts';
import { ErrorWatch } from './error-watch.ts';
import type { LabelFigures } from './label-figures.ts';

/** All remembered rows of a host together: six million. Whatever deployments ask for, the disk is not theirs alone. */
export const MAX_DECISION_BYTES = 256 * 1024 * 1024;
/** Rows that wait for the disk: some seconds of a host that is as busy as it can be. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** How long a label waits to be sent; the more come together, the fewer windows go out. */
const SEND_EVERY_MS = 2_000;

export interface LabelDeskOptions {
  readonly folder: string;
  readonly maxBytes?: number;
  /** How a deployment is watched; null: it is not served here. */
  monitoringOf(deployment: string): Monitoring | null;
  /** A window that holds labels and nothing else. */
  onWindow(window: WindowMessage): void;
  /** The errors of a version have changed. */
  onDrift(detail: string): void;
  log(level: 'warn' | 'error', message: string, detail: object): void;
}

interface Desk {
  readonly labels: DeploymentLabels;
  readonly watch: ErrorWatch;
}

/**
 * Where the labels of all engines of a host arrive, and the rows that they belong to. One process writes, so that a
 * label that is posted to any engine finds its row, and one that is posted to two of them is counted once.
 */
export class LabelDesk {
  readonly #options: LabelDeskOptions;
  readonly #desks = new Map<string, Desk>();
  /** Everything that touches files, one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  /** Of batches that wait for the disk. */
  #waitingBytes = 0;
  /** Bytes of rows that were never written down, because the disk did not keep up. */
  #lost = 0;

  constructor(options: LabelDeskOptions) {
    this.#options = options;
  }

  /** Takes up what the disk has; labels that a crash kept from being sent are counted again. */
  async start(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = await readdir(folder);
    await this.#alone(async () => {
      for (const name of names) if (nameSchema.safeParse(name).success) await this.#desk(name);
    });
    this.#timer = setInterval(() => void this.send(), SEND_EVERY_MS).unref();
  }

  /** Rows that an engine has answered. */
  decided(batch: DecisionBatch): void {
    const { length } = batch.records;
    if (this.#waitingBytes + length > MAX_WAITING_BYTES) {
      this.#lost += length;
      const detail = { deployment: batch.deployment, bytes: length, lostBytes: this.#lost };
      this.#options.log('warn', 'the disk is too slow: answered rows are not remembered', detail);
      return;
    }
    this.#waitingBytes += length;
    void this.#alone(async () => {
      this.#waitingBytes -= length;
      const { labels } = await this.#desk(batch.deployment);
      await labels.decided(batch);
      await this.#keepBounds();
    }).catch((error: unknown) => this.#failed('could not remember answered rows', error));
  }

  /** Joins labels to their rows. The answer is given when what it says is on disk. */
  async feedback(deployment: string, posted: readonly PostedLabel[]): Promise<Answer> {
    const atMs = Date.now();
    const known = this.#desks.has(deployment);
    if (!known && this.#options.monitoringOf(deployment) === null) {
      const message = `unknown model "${deployment.slice(0, 128)}": this agent neither serves it nor remembers its answers`;
      return { kind: 'refused', code: 'unknown_model', message };
    }
    const results = await this.#alone(async () => {
      const { labels } = await this.#desk(deployment);
      return labels.post(posted, atMs);
    });
    return { kind: 'feedback', results };
  }

  /** What is remembered of row `row` of a decision; null: nothing is. */
  async recall(deployment: string, decision: string, row: number): Promise<DecisionRecord | null> {
    const sought = soughtBy({ by: 'decision', id: decision, row });
    if (sought === null) return null;
    // A row that waits for the disk is found behind it. A name that is not known opens no folder.
    return this.#alone(async () => this.#desks.get(deployment)?.labels.recall(sought) ?? null);
  }

  /** Sends what labels have been counted. */
  async send(): Promise<void> {
    await this.#alone(async () => {
      for (const { labels } of this.#desks.values()) await labels.send(Date.now());
    }).catch((error: unknown) => this.#failed('could not send labels', error));
  }

  async #desk(deployment: string): Promise<Desk> {
    const known = this.#desks.get(deployment);
    if (known !== undefined) return known;
    const { folder, log, onDrift, monitoringOf } = this.#options;
    const decisions = await DecisionLog.open(join(folder, deployment));
    if (decisions.corruptBytes > 0) {
      const detail = { deployment, bytes: decisions.corruptBytes };
      log('warn', 'dropped a torn record of answered rows', detail);
    }
    const inForce = () => monitoringInForce(monitoringOf(deployment) ?? {});
    const watch = new ErrorWatch(deployment, inForce, onDrift);
    const labels = new DeploymentLabels(deployment, decisions, {
      onError: (seen) => watch.see(seen),
      onWindow: (window) => this.#options.onWindow(window),
    });
    await labels.recover();
    const desk = { labels, watch };
    this.#desks.set(deployment, desk);
    return desk;
  }

  /** Drops what is older, or more, than its deployment keeps, and then the oldest of all while it is too much. */
  async #keepBounds(): Promise<void> {
    const { monitoringOf, maxBytes = MAX_DECISION_BYTES } = this.#options;
    for (const [deployment, { labels }] of this.#desks) {
      const { keepRows, maxAgeMs } = monitoringInForce(monitoringOf(deployment) ?? {}).labels;
      await labels.log.evict(keepRows, Date.now() - maxAgeMs);
    }
    const logs = () => [...this.#desks.values()].map(({ labels }) => labels.log);
    while (logs().reduce((sum, { bytes }) => sum + bytes, 0) > maxBytes) {
      const [oldest] = logs().sort((a, b) => a.oldestMs - b.oldestMs);
      await oldest.dropOldest();
    }
  }

  get figures(): LabelFigures[] {
    return [...this.#desks].map(([deployment, { labels, watch }]) => ({
      deployment,
      labels: Object.fromEntries(
        LABEL_STATUSES.map((status) => [status, labels.counts[status]]),
      ) as Record<LabelStatus, number>,
      rows: labels.log.rows,
      bytes: labels.log.bytes,
      evicted: labels.log.evicted,
      drifts: watch.drifts,
    }));
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  #failed(message: string, error: unknown): void {
    this.#options.log('error', message, { reason: messageOf(error) });
  }

  /** Sends what is left, and closes its files. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.send();
    await this.#alone(async () => {
      for (const { labels } of this.#desks.values()) await labels.log.close();
    });
  }
}
