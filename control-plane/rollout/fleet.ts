import { setTimeout as pause } from 'node:timers/promises';
import type { AgentId, Digest } from '../../protocol/ids.ts';
import type { LedgerMessage } from '../../protocol/ledger.ts';
import type { DownloadProgress } from '../../protocol/progress.ts';
import { ControlError } from '../error.ts';
import {
  type Confirmations,
  type Fleet,
  type HostCounts,
  type KnownHost,
  MAX_REFUSED,
} from '../http/services.ts';
import { goesTo } from '../residency/residency.ts';
import type { Store } from '../store/database.ts';
import { type DeploymentRow, findDeployment, targetOf } from '../store/deployments.ts';
import type { Publisher } from './publisher.ts';
import type { Roster } from './roster.ts';

/** Longest a question waits: below the idle timeouts of proxies. */
export const MAX_WAIT_MS = 30_000;

/** A look at the hosts that takes no longer may follow the one before at once. */
const CHEAP_LOOK_MS = 0.5;

/** The hosts as a whole: what they should run, and who has said that it does. */
export class FleetDesk implements Fleet {
  readonly #store: Store;
  readonly #publisher: Publisher;
  readonly #roster: Roster;
  readonly #connected: () => ReadonlySet<AgentId>;
  readonly #ledgerOf: (agent: AgentId) => LedgerMessage | null;
  readonly #downloadsOf: (agent: AgentId) => readonly DownloadProgress[];
  readonly #duplicates: () => number;
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();

  constructor(deps: {
    readonly store: Store;
    readonly publisher: Publisher;
    readonly roster: Roster;
    readonly connected: () => ReadonlySet<AgentId>;
    readonly ledgerOf: (agent: AgentId) => LedgerMessage | null;
    readonly downloadsOf: (agent: AgentId) => readonly DownloadProgress[];
    readonly duplicates: () => number;
    readonly now: () => number;
  }) {
    this.#store = deps.store;
    this.#publisher = deps.publisher;
    this.#roster = deps.roster;
    this.#connected = deps.connected;
    this.#ledgerOf = deps.ledgerOf;
    this.#downloadsOf = deps.downloadsOf;
    this.#duplicates = deps.duplicates;
    this.#now = deps.now;
  }

  async reconcile(_reason: string): Promise<void> {
    await this.#publisher.change(this.#now(), async () => undefined);
    // Not with every change: a rollback is not to wait for it.
    await this.#publisher.tidy();
  }

  connected(): ReadonlySet<string> {
    return this.#connected();
  }

  counts(deployment: DeploymentRow, manifest: Digest): HostCounts {
    const { name, version } = deployment;
    const target = targetOf(deployment);
    const connected = this.#connected();
    const counts = { total: 0, connected: 0, serving: 0, connectedServing: 0, unleased: 0 };
    const refused: HostCounts['refused'] = [];
    for (const entry of this.#roster.all()) {
      if (!goesTo(target, entry)) continue;
      const { id, standing, applied } = entry;
      const isConnected = connected.has(id);
      const isCurrent = applied >= this.#publisher.inForce(id).generation;
      const serves = isCurrent && standing.stable.get(name) === version;
      counts.total += 1;
      counts.connected += Number(isConnected);
      counts.serving += Number(serves);
      counts.connectedServing += Number(serves && isConnected);
      counts.unleased += Number(standing.unleased.has(name));
      const refusal = entry.refusals.find(
        (one) => one.deployment === name && one.manifest === manifest,
      );
      if (refusal === undefined || refused.length === MAX_REFUSED) continue;
      refused.push({ agent: id, name: entry.name, reason: refusal.reason });
    }
    return { ...counts, refused };
  }

  hosts(): readonly KnownHost[] {
    return this.#roster
      .all()
      .map(({ id, name, standing }) => ({ id, name, stable: standing.stable }));
  }

  duplicateWindows(): number {
    return this.#duplicates();
  }

  ledger(agent: AgentId): LedgerMessage | null {
    return this.#ledgerOf(agent);
  }

  downloads(agent: AgentId): readonly DownloadProgress[] {
    return this.#connected().has(agent) ? this.#downloadsOf(agent) : [];
  }

  async confirmations(
    deployment: string,
    generation: number,
    waitMs: number,
  ): Promise<Confirmations> {
    const row = await findDeployment(this.#store.read, deployment);
    if (row === null) throw new ControlError('not-found', `no deployment "${deployment}"`);
    const until = performance.now() + Math.min(waitMs, MAX_WAIT_MS);
    for (;;) {
      const begun = performance.now();
      const agents = this.#confirmed(row, generation);
      const tookMs = performance.now() - begun;
      const missing = agents.some((agent) => agent.connected && agent.confirmedAfterMs === null);
      const left = until - performance.now();
      if (!missing || left <= 0) return { generation, agents };
      await this.#woken(left);
      // A fleet that comes back wakes it thousands of times: looks take a fifth of the time at most.
      if (tookMs > CHEAP_LOOK_MS) await pause(4 * tookMs);
    }
  }

  /** Looks again at every waiting question: a host reported, came or went. */
  wake(): void {
    for (const resume of [...this.#waiting]) resume();
  }

  #confirmed(row: DeploymentRow, generation: number): Confirmations['agents'] {
    const connected = this.#connected();
    const target = targetOf(row);
    return this.#roster
      .all()
      .filter((entry) => goesTo(target, entry))
      .map((entry) => ({
        id: entry.id,
        name: entry.name,
        connected: connected.has(entry.id),
        applied: entry.applied,
        confirmedAfterMs: this.#roster.confirmedAfterMs(entry, generation, row.name),
      }));
  }

  #woken(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#waiting.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, withinMs);
      this.#waiting.add(resume);
    });
  }
}
