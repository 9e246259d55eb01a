/** So much may come at once after a pause: a wait shorter than that is no wait that a timer can keep. */
export const BURST_MS = 100;

/** Spreads bytes over time, so that no more than a rate comes on average. Pure but for what it remembers. */
export class Pace {
  readonly #bytesPerMs: number;
  /** When what was taken so far has been paid for. */
  #paidAtMs = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** How long to wait after `bytes` were taken. */
  waitMs(bytes: number, nowMs: number): number {
    this.#paidAtMs = Math.max(this.#paidAtMs, nowMs) + bytes / this.#bytesPerMs;
    const aheadMs = this.#paidAtMs - nowMs;
    return aheadMs > BURST_MS ? aheadMs : 0;
  }
}
