import type { Digest } from '../../protocol/ids.ts';
import type { ServingPlan } from '../engine/messages.ts';
import type { DesiredStore } from './desired-store.ts';
import { type Fallbacks, type IsBad, rememberFallbacks, stableSince } from './fallback.ts';
import { versionsIn } from './models-to-open.ts';

/** What was served before, and since when what is served now: on disk as far as a restart needs it. */
export class ServingMemory {
  readonly #store: DesiredStore;
  #fallbacks: Fallbacks = new Map();
  #sinceMs: ReadonlyMap<string, number> = new Map();
  #introducedMs: ReadonlyMap<Digest, number> = new Map();

  constructor(store: DesiredStore) {
    this.#store = store;
  }

  get fallbacks(): Fallbacks {
    return this.#fallbacks;
  }

  /** When each served version came. */
  get introducedMs(): ReadonlyMap<Digest, number> {
    return this.#introducedMs;
  }

  async load(): Promise<void> {
    this.#fallbacks = await this.#store.loadFallbacks();
  }

  /** What may be gone back to once `after` is served. */
  fallbacksAfter(
    before: ServingPlan | null,
    after: ServingPlan,
    isBad: IsBad,
    nowMs: number,
  ): Fallbacks {
    const context = { sinceMs: this.#sinceMs, nowMs, isBad };
    return rememberFallbacks(this.#fallbacks, before, after, context);
  }

  /** `after` is served from now on. */
  async switched(
    before: ServingPlan | null,
    after: ServingPlan,
    isBad: IsBad,
    nowMs: number,
  ): Promise<void> {
    const known = this.#fallbacks;
    this.#fallbacks = this.fallbacksAfter(before, after, isBad, nowMs);
    this.#sinceMs = stableSince(this.#sinceMs, before, after, nowMs);
    this.#introducedMs = new Map(
      versionsIn(after).map((each) => [each, this.#introducedMs.get(each) ?? nowMs]),
    );
    await this.#store.saveLastGood(after);
    if (shown(known) !== shown(this.#fallbacks)) await this.#store.saveFallbacks(this.#fallbacks);
  }
}

function shown(fallbacks: Fallbacks): string {
  return JSON.stringify([...fallbacks]);
}
