import { setTimeout } from 'node:timers/promises';
import type { AgentId } from '../../protocol/ids.ts';
import type { OneHost, Publisher } from './publisher.ts';

/** Hosts of one look. More would hold up what else waits for the database. */
const MAX_TOGETHER = 256;
/** When so many come in one slot, a fleet is coming back, and the hosts of a slot are gathered. A single host does not wait. */
const MANY = 8;
const SLOT_MS = 50;

interface Waiting extends OneHost {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Hosts that link. A new one has no document yet, an old one may have missed a change of its own labels, or have a newer
 * document than a database that was put back. Those that come while others are looked at go together, and where many come
 * those that come right after: what a fleet shall run is read once for all of them, and not for each of thousands.
 */
export class Arrivals {
  readonly #publisher: Pick<Publisher, 'change'>;
  readonly #now: () => number;
  #waiting: Waiting[] = [];
  #busy = false;
  /** Which slot of time it is, and how many came in it and in the one before. */
  #slot = 0;
  #inSlot = 0;
  #before = 0;

  constructor(publisher: Pick<Publisher, 'change'>, now: () => number) {
    this.#publisher = publisher;
    this.#now = now;
  }

  /** Resolves when the document in force for the host is the one that it shall have. */
  take(agent: AgentId, held: number): Promise<void> {
    this.#count();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ agent, held, resolve, reject });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const some = this.#waiting.slice(0, MAX_TOGETHER);
      this.#waiting = this.#waiting.slice(MAX_TOGETHER);
      await this.#settle(some);
      if (this.#comeMany()) await setTimeout(SLOT_MS);
    }
    this.#busy = false;
  }

  #count(): void {
    const slot = Math.floor(performance.now() / SLOT_MS);
    if (slot !== this.#slot) {
      this.#before = slot === this.#slot + 1 ? this.#inSlot : 0;
      this.#slot = slot;
      this.#inSlot = 0;
    }
    this.#inSlot += 1;
  }

  /** Also where the slot has only just begun. */
  #comeMany(): boolean {
    return Math.max(this.#inSlot, this.#before) >= MANY;
  }

  async #settle(some: readonly Waiting[]): Promise<void> {
    try {
      await this.#publisher.change(this.#now(), async () => undefined, undefined, some);
      for (const { resolve } of some) resolve();
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }
}
