/** Of a window's length: a canary is judged by that much later at most. */
const PART = 10;
const MOST_MS = 5_000;

/**
 * When a host sends what it has counted. Windows end at multiples of their length by the clock, on all hosts of a fleet at once:
 * sent at once too, they are a fleet's windows to be held and read in one moment, and then nothing for the rest of the time.
 * So each host has a place of its own in the time behind the end.
 */
export class SendSlot {
  readonly #send: () => void;
  /** In [0, 1). */
  readonly #place: number;
  #timer: NodeJS.Timeout | null = null;
  #dueAtMs = 0;

  constructor(send: () => void, place = Math.random()) {
    this.#send = send;
    this.#place = place;
  }

  /** A window of this length has ended, and is to be sent. */
  ended(windowMs: number): void {
    const waitMs = this.#place * Math.min(windowMs / PART, MOST_MS);
    const dueAtMs = performance.now() + waitMs;
    if (this.#timer !== null) {
      // What is due first takes the rest along.
      if (this.#dueAtMs <= dueAtMs) return;
      clearTimeout(this.#timer);
    }
    this.#dueAtMs = dueAtMs;
    this.#timer = setTimeout(() => this.now(), waitMs);
    this.#timer.unref();
  }

  /** Sends what waits for its time. */
  now(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#send();
  }
}
