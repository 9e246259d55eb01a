import type { AgentId } from '../../protocol/ids.ts';
import { markLeft } from '../store/agents.ts';
import type { Store } from '../store/database.ts';

/** How long those whose links end are gathered: a network that goes takes thousands of links with it, and nobody waits for this. */
const GATHER_MS = 200;

export interface DeparturesDeps {
  readonly store: Pick<Store, 'write'>;
  readonly now: () => number;
  readonly onFailure: (where: string, error: unknown) => void;
}

/** Writes down when links ended: since then a host is away, and not since it last had something to report. */
export class Departures {
  readonly #deps: DeparturesDeps;
  #left = new Map<AgentId, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: DeparturesDeps) {
    this.#deps = deps;
  }

  /** A link of this host has just ended. */
  note(agent: AgentId): void {
    this.#left.set(agent, this.#deps.now());
    this.#timer ??= setTimeout(() => void this.#write(), GATHER_MS);
  }

  async #write(): Promise<void> {
    const { store, onFailure } = this.#deps;
    const left = this.#left;
    this.#left = new Map();
    this.#timer = null;
    if (left.size === 0) return;
    try {
      await store.write((tx) => markLeft(tx, left));
    } catch (error) {
      onFailure('departures', error);
    }
  }

  /** Resolves when all that were noted are in the database. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#write();
  }
}
