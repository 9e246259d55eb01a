/** What a timer of Node can count to; what is due later is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Wakes once at a time on the clock of `performance.now()`. `coarse` wakes up to about a millisecond late, as Node's
 * timers do. `fine` watches the last fraction of a millisecond turn by turn of the event loop, because a timer would
 * make 1 ms of a delay of 50 µs; it occupies the thread that long, though I/O goes on.
 */
export class BatchAlarm {
  readonly #kind: 'coarse' | 'fine';
  readonly #wake: () => void;
  #atMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;

  constructor(kind: 'coarse' | 'fine', wake: () => void) {
    this.#kind = kind;
    this.#wake = wake;
  }

  /** Wakes at `atMs`, or earlier if that was asked for before: the one woken looks what is due and sets it again. */
  set(atMs: number, nowMs: number): void {
    if (atMs >= this.#atMs) return;
    this.clear();
    this.#atMs = atMs;
    this.#arm(nowMs);
  }

  clear(): void {
    this.#atMs = Number.POSITIVE_INFINITY;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  #arm(nowMs: number): void {
    const leftMs = Math.max(this.#atMs - nowMs, 0);
    if (this.#kind === 'fine' && leftMs < 1) this.#immediate = setImmediate(this.#look);
    else {
      const waitMs = this.#kind === 'fine' ? Math.floor(leftMs) : Math.ceil(leftMs);
      this.#timer = setTimeout(this.#look, Math.min(waitMs, LONGEST_TIMER_MS));
    }
  }

  readonly #look = (): void => {
    this.#timer = null;
    this.#immediate = null;
    const nowMs = performance.now();
    // Node's timers count whole milliseconds of their own clock and may be up to one early on this one.
    if (nowMs < this.#atMs) {
      this.#arm(nowMs);
      return;
    }
    this.#atMs = Number.POSITIVE_INFINITY;
    this.#wake();
  };
}
