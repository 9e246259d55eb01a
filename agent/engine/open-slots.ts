import type { Digest } from '../../protocol/ids.ts';
import { executionKey } from '../../protocol/serving.ts';
import { Refusal } from '../error.ts';
import type { ModelToOpen } from './messages.ts';
import type { Slot } from './model/slot.ts';
import type { LongestCall } from './snapshot.ts';

type Execution = ModelToOpen['execution'];

interface Held {
  readonly slot: Slot;
  /** Commits that it outlives without being named. */
  spared: number;
}

/**
 * The admitted versions of an engine, one for each way to execute it. A commit between the `prepare` of a version and the
 * commit that names it spares it once, so that an older plan does not take it away; the one after does not, so that
 * a version that no plan comes to name holds no memory for ever.
 *
 *     prepare ─▶ opening ─▶ spare ──named──▶ served ──not named──▶ retired
 *                             └──not named──▶ last chance ──not named──▶ retired
 */
export class OpenSlots {
  readonly #admit: (model: ModelToOpen) => Promise<Slot>;
  readonly #held = new Map<string, Held>();
  readonly #opening = new Map<string, Promise<Slot>>();
  /** Not named any more, and still owing answers. */
  readonly #retiring = new Set<Slot>();
  #state: 'open' | 'closed' = 'open';

  constructor(admit: (model: ModelToOpen) => Promise<Slot>) {
    this.#admit = admit;
  }

  /** The version's slot, opened if it is not, by one opening for all who ask meanwhile. Rejects as `admit` does. */
  async prepare(model: ModelToOpen): Promise<Slot> {
    const key = slotKey(model.files.manifest, model.execution);
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.spared = 1;
      return held.slot;
    }
    const known = this.#opening.get(key);
    if (known !== undefined) return known;
    const opening = this.#open(key, model);
    this.#opening.set(key, opening);
    return opening;
  }

  /** The slot of a prepared version; undefined for one that is not prepared as it is to run. */
  get(manifest: Digest, execution: Execution): Slot | undefined {
    return this.#held.get(slotKey(manifest, execution))?.slot;
  }

  /** A commit has named these: the others are retired, or spared for the last time. */
  keepOnly(named: ReadonlySet<Slot>): void {
    for (const [key, held] of this.#held) {
      if (named.has(held.slot)) held.spared = 0;
      else if (held.spared > 0) held.spared -= 1;
      else {
        this.#held.delete(key);
        this.#retiring.add(held.slot);
        void held.slot.retire().finally(() => this.#retiring.delete(held.slot));
      }
    }
  }

  /** Over all versions, those included that only owe answers; undefined while no worker thread computes. */
  longestCall(): LongestCall | undefined {
    let longest: LongestCall | undefined;
    for (const slot of [...[...this.#held.values()].map((held) => held.slot), ...this.#retiring]) {
      const ms = slot.session.longestCallMs?.() ?? 0;
      if (ms > (longest?.ms ?? 0)) longest = { manifest: slot.manifestDigest, ms };
    }
    return longest;
  }

  /** Resolves when every slot has been retired; what is being opened is, once it is open. */
  async close(): Promise<void> {
    this.#state = 'closed';
    const retired = [...this.#held.values()].map(({ slot }) => slot.retire());
    this.#held.clear();
    await Promise.all(retired);
  }

  async #open(key: string, model: ModelToOpen): Promise<Slot> {
    try {
      const slot = await this.#admit(model);
      if (this.#state === 'closed') {
        await slot.retire();
        throw new Refusal('session-failed', 'the engine stopped while the version was opened');
      }
      this.#held.set(key, { slot, spared: 1 });
      return slot;
    } finally {
      this.#opening.delete(key);
    }
  }
}

function slotKey(manifest: Digest, execution: Execution): string {
  return `${manifest}\n${executionKey(execution)}`;
}
