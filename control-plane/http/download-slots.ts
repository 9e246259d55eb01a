/** Answers with bytes of artifacts at the same time, from one control plane: a few fill its line. */
export const DEFAULT_MAX_DOWNLOADS = 64;
/** Of one caller: a host that opens more keeps others out. */
export const MAX_DOWNLOADS_PER_CALLER = 8;
/** A host that has got a slot has several requests, one after the other: it is not sent to the end of the queue for each. */
export const LINGER_MS = 300;
/** Seconds over which those who find no slot come back. */
export const MIN_SPREAD_S = 4;
export const MAX_SPREAD_S = 300;

export type Slot =
  | { readonly kind: 'taken'; release(nowMs: number): void }
  | { readonly kind: 'busy'; readonly retryAfterS: number };

/**
 * Who may download now, and when those come back who may not. What waits comes back at random within a spread of as
 * many seconds as there are refusals in a second. N hosts that wait make 2N/spread refusals a second, so both settle at
 * √2N: 45 for a thousand hosts. A slot that is given back is kept for its host for a moment. Pure but for what it
 * remembers.
 */
export class DownloadSlots {
  readonly #max: number;
  readonly #random: () => number;
  readonly #byCaller = new Map<string, number>();
  /** Whose slot is kept, and until when: no more than there are slots, and a few people. */
  readonly #lingering = new Map<string, number>();
  #active = 0;
  #refused = 0;
  /** Refusals of the present second and of the one before. */
  #second = 0;
  #inSecond = 0;
  #inLastSecond = 0;

  /** @param random uniform in [0, 1) */
  constructor(max: number, random: () => number) {
    this.#max = max;
    this.#random = random;
  }

  get active(): number {
    return this.#active;
  }

  /** How often somebody was told to come back. */
  get refused(): number {
    return this.#refused;
  }

  /** A slot for a host, if there is one. */
  take(caller: string, nowMs: number): Slot {
    this.#forget(nowMs);
    const own = this.#byCaller.get(caller) ?? 0;
    const others = this.#active + this.#lingering.size - (this.#lingering.has(caller) ? 1 : 0);
    if (others >= this.#max || own >= MAX_DOWNLOADS_PER_CALLER) {
      return { kind: 'busy', retryAfterS: this.#refuse(Math.floor(nowMs / 1000)) };
    }
    return this.#give(caller, own, LINGER_MS);
  }

  /** A slot for a person: who looks after a wave of hosts must not wait for its end. */
  takeAnyway(caller: string): Slot {
    return this.#give(caller, this.#byCaller.get(caller) ?? 0, 0);
  }

  #give(caller: string, own: number, lingerMs: number): Slot {
    this.#active += 1;
    this.#lingering.delete(caller);
    this.#byCaller.set(caller, own + 1);
    let isHeld = true;
    return {
      kind: 'taken',
      release: (nowMs) => {
        if (isHeld) this.#release(caller, nowMs + lingerMs);
        isHeld = false;
      },
    };
  }

  #refuse(second: number): number {
    if (second !== this.#second) {
      this.#inLastSecond = second === this.#second + 1 ? this.#inSecond : 0;
      this.#second = second;
      this.#inSecond = 0;
    }
    this.#inSecond += 1;
    this.#refused += 1;
    const rate = Math.max(this.#inSecond, this.#inLastSecond);
    const spread = Math.min(Math.max(rate, MIN_SPREAD_S), MAX_SPREAD_S);
    return 1 + Math.floor(spread * this.#random());
  }

  #release(caller: string, keptUntilMs: number): void {
    this.#active -= 1;
    const own = (this.#byCaller.get(caller) ?? 1) - 1;
    if (own > 0) {
      this.#byCaller.set(caller, own);
      return;
    }
    this.#byCaller.delete(caller);
    this.#lingering.set(caller, keptUntilMs);
  }

  #forget(nowMs: number): void {
    for (const [caller, untilMs] of this.#lingering) {
      if (untilMs <= nowMs) this.#lingering.delete(caller);
    }
  }
}
