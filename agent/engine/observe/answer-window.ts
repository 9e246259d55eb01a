/** What can be wrong with one answer; a bit each. */
export const NON_FINITE = 1;
export const FAILED = 2;
export const SLOW = 4;

/** The last answers of an arm: how many of them were bad, and how. O(1) an answer, nothing allocated. */
export class AnswerWindow {
  readonly #flags: Uint8Array;
  #next = 0;
  /** Answers in it: at most what it was made for. */
  answers = 0;
  nonFinite = 0;
  failed = 0;
  slow = 0;

  constructor(size: number) {
    this.#flags = new Uint8Array(size);
  }

  add(flags: number): void {
    const leaves = this.#flags[this.#next];
    this.#flags[this.#next] = flags;
    this.#next = this.#next + 1 === this.#flags.length ? 0 : this.#next + 1;
    if (this.answers < this.#flags.length) this.answers += 1;
    this.nonFinite += (flags & NON_FINITE) - (leaves & NON_FINITE);
    this.failed += ((flags & FAILED) - (leaves & FAILED)) / FAILED;
    this.slow += ((flags & SLOW) - (leaves & SLOW)) / SLOW;
  }
}
