/** A sampled answer on its way to its score. */
export interface Evaluation {
  /** Whose it is: all of one owner can be taken back. */
  readonly owner: object;
  /** Elements of tensors that it keeps in memory. */
  readonly elements: number;
  /** Scores it and counts the score. Never throws; a promise where a model is asked. */
  run(): void | Promise<void>;
  /** It will not be scored. */
  drop(): void;
}

/** What waits is memory, and a score that comes much later than its answer tells little. */
const MAX_WAITING = 256;
const MAX_WAITING_ELEMENTS = 4 * 1024 * 1024;

/** Scoring takes at most this long at a time from the thread that serves, or one evaluation if that takes longer. */
const TURN_MS = 0.5;
/** And at most this share of its time altogether. */
const MAX_SHARE = 0.1;

/**
 * Scores answers after they have been given, beside the requests of one engine. Nothing of a request waits for it:
 * it works in short turns with long rests, and what does not fit is dropped and counted.
 */
export class EvaluationQueue {
  #waiting: Evaluation[] = [];
  #elements = 0;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #closed = false;

  /** Takes it, or drops it at once. */
  add(evaluation: Evaluation): void {
    const full =
      this.#waiting.length >= MAX_WAITING ||
      this.#elements + evaluation.elements > MAX_WAITING_ELEMENTS;
    if (this.#closed || full) {
      evaluation.drop();
      return;
    }
    this.#waiting.push(evaluation);
    this.#elements += evaluation.elements;
    if (!this.#running && this.#timer === null) this.#rest(0);
  }

  /** Drops what of this owner still waits. */
  dropOf(owner: object): void {
    const dropped = this.#waiting.filter((evaluation) => evaluation.owner === owner);
    this.#waiting = this.#waiting.filter((evaluation) => evaluation.owner !== owner);
    for (const evaluation of dropped) {
      this.#elements -= evaluation.elements;
      evaluation.drop();
    }
  }

  /** Drops everything, now and from now on. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const evaluation of this.#waiting.splice(0)) evaluation.drop();
    this.#elements = 0;
  }

  #rest(busyMs: number): void {
    if (this.#closed || this.#waiting.length === 0) return;
    const restMs = (busyMs * (1 - MAX_SHARE)) / MAX_SHARE;
    this.#timer = setTimeout(this.#turn, restMs);
    // Nobody waits for a score: it does not keep a process.
    this.#timer.unref();
  }

  readonly #turn = (): void => {
    this.#timer = null;
    const startedMs = performance.now();
    let busyMs = 0;
    while (busyMs < TURN_MS) {
      const evaluation = this.#waiting.shift();
      if (evaluation === undefined) break;
      this.#elements -= evaluation.elements;
      const done = evaluation.run();
      busyMs = performance.now() - startedMs;
      if (done === undefined) continue;
      this.#running = true;
      void done.then(() => {
        this.#running = false;
        // Whether the model blocked this thread or took a core beside it: its whole time counts.
        this.#rest(performance.now() - startedMs);
      });
      return;
    }
    this.#rest(busyMs);
  };
}
