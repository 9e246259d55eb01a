/** Smallest memory of one direction: most tensors of tabular models fit, and 64 of them cost 4 MB. */
export const LEAST_BYTES = 64 * 1024;
/** Calls in a row that would fit a quarter of the memory before it shrinks: one large call an hour keeps none. */
export const SHRINK_AFTER_CALLS = 256;
/** Largest frame: it exists up to three times at once, and a larger one is a mistake in the model or its input. */
export const MAX_TENSORS_BYTES = 2 ** 30;
const PAGE_BYTES = 4096;

/** How large the memory of one direction is: as large as the frames of late, never larger than one of them needed. */
export class FrameBudget {
  #capacity: number;
  #smallCalls = 0;
  #largestSmall = 0;

  constructor(capacity = LEAST_BYTES) {
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /**
   * The size of new memory in bytes where the present one does not suit a frame of so many; null where it does. The
   * memory stays the present one until `resized` says that there is other.
   */
  next(bytes: number): number | null {
    if (bytes > this.#capacity) return roundUp(bytes);
    if (this.#capacity === LEAST_BYTES || bytes * 4 > this.#capacity) {
      this.#smallCalls = 0;
      this.#largestSmall = 0;
      return null;
    }
    this.#smallCalls += 1;
    this.#largestSmall = Math.max(this.#largestSmall, bytes);
    return this.#smallCalls < SHRINK_AFTER_CALLS ? null : roundUp(this.#largestSmall);
  }

  /** The memory has so many bytes now. */
  resized(capacity: number): void {
    this.#smallCalls = 0;
    this.#largestSmall = 0;
    this.#capacity = capacity;
  }
}

function roundUp(bytes: number): number {
  return Math.max(LEAST_BYTES, Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES);
}
