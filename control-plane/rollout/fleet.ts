import type { AgentId } from '../../protocol/ids.ts';
import type { LedgerMessage } from '../../protocol/ledger.ts';
import type { DownloadProgress } from '../../protocol/progress.ts';
import { ControlError } from '../error.ts';
import type { Confirmations, Fleet } from '../http/services.ts';
import { goesTo } from '../residency/residency.ts';
import type { Store } from '../store/database.ts';
import { type DeploymentRow, findDeployment, targetOf } from '../store/deployments.ts';
import type { Publisher } from './publisher.ts';
import type { Roster } from './roster.ts';

/** Longest a question waits: below the idle timeouts of proxies. */
export const MAX_WAIT_MS = 30_000;

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
      const agents = this.#confirmed(row, generation);
      const missing = agents.some((agent) => agent.connected && agent.confirmedAfterMs === null);
      const left = until - performance.now();
      if (!missing || left <= 0) return { generation, agents };
      await this.#woken(left);
    }
  }

  /** Looks again at every waiting question: a host reported, came or went. */
  wake(): void {
    for (const resume of [...this.#waiting]) resume();
  }

  #confirmed(row: DeploymentRow, generation: number): Confirmations['agents'] {
    const connected = this.#connected();
    return this.#roster
      .all()
      .filter((entry) => goesTo(targetOf(row), entry))
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
