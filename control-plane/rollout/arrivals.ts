import { setTimeout } from 'node:timers/promises';
import type { AgentId } from '../../protocol/ids.ts';
import type { OneHost } from './publisher.ts';

/** Hosts of one look. More would hold up what else waits for the database. */
const MAX_TOGETHER = 256;
/** When so many come in one slot, a fleet is coming back, and the hosts of a slot are gathered. A single host does not wait. */
const MANY = 8;
const SLOT_MS = 50;

interface Waiting<T> extends OneHost {
  resolve(taken: T | null): void;
  reject(error: unknown): void;
}

/** Sees to hosts that have linked, some at once: each shall have the document that it is to follow. */
export type TakeUp<T> = (hosts: readonly OneHost[]) => Promise<ReadonlyMap<AgentId, T>>;

/**
 * Hosts that link. A new one has no document yet, an old one may have missed a change of its own labels, or have a newer
 * document than a database that was put back. Those that come while others are looked at go together, and where many come
 * those that come right after: what a fleet shall run is read once for all of them, and not for each of thousands.
 */
export class Arrivals<T> {
  readonly #takeUp: TakeUp<T>;
  #waiting: Waiting<T>[] = [];
  #busy = false;
  /** Which slot of time it is, and how many came in it and in the one before. */
  #slot = 0;
  #inSlot = 0;
  #before = 0;

  constructor(takeUp: TakeUp<T>) {
    this.#takeUp = takeUp;
  }

  /** Resolves with what `takeUp` has for the host; null: it has nothing. */
  take(agent: AgentId, held: number): Promise<T | null> {
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

  async #settle(some: readonly Waiting<T>[]): Promise<void> {
    try {
      const taken = await this.#takeUp(some);
      for (const { agent, resolve } of some) resolve(taken.get(agent) ?? null);
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }
}
