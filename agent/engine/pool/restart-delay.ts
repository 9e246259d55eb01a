/** First wait before a dead engine is replaced; doubles while they keep dying, so that a crash loop stays cheap. */
const RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 5_000;
/** A death counts towards the delay for this long. */
const STEADY_AFTER_MS = 30_000;

/** How long to wait before the next engine is started. The clock comes in. */
export class RestartDelay {
  #deaths: number[] = [];

  died(nowMs: number): number {
    this.#deaths = this.#deaths.filter((at) => nowMs - at < STEADY_AFTER_MS);
    const delay = Math.min(MAX_RESTART_DELAY_MS, RESTART_DELAY_MS * 2 ** this.#deaths.length);
    this.#deaths.push(nowMs);
    return delay;
  }
}
