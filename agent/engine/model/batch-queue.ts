/** Slots of a new ring; a power of two, because places are found by masking. */
const FIRST_CAPACITY = 64;
/** A ring that a burst made larger than this is given back when it is empty. */
const KEPT_CAPACITY = 4096;

/** First in, first out, of one priority: a ring that grows by doubling. */
class Ring<T extends object> {
  priority: number;
  size = 0;
  #places: (T | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #head = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  push(item: T): void {
    if (this.size === this.#places.length) this.#grow();
    this.#places[(this.#head + this.size) & (this.#places.length - 1)] = item;
    this.size += 1;
  }

  peek(): T | undefined {
    return this.#places[this.#head];
  }

  shift(): T | undefined {
    const item = this.#places[this.#head];
    if (item === undefined) return undefined;
    this.#places[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#places.length - 1);
    this.size -= 1;
    if (this.size === 0 && this.#places.length > KEPT_CAPACITY) {
      this.#places = new Array(FIRST_CAPACITY).fill(undefined);
      this.#head = 0;
    }
    return item;
  }

  #grow(): void {
    const grown: (T | undefined)[] = new Array(this.size * 2).fill(undefined);
    for (let i = 0; i < this.size; i += 1) {
      grown[i] = this.#places[(this.#head + i) & (this.#places.length - 1)];
    }
    this.#places = grown;
    this.#head = 0;
  }
}

/**
 * What waits, by priority (the lowest number first) and in the order of arrival within one. Push and shift are O(1)
 * amortised for the few priorities that occur; a new priority costs a binary search among those that wait.
 */
export class BatchQueue<T extends object> {
  /** The most urgent is the last. None is empty, unless it is the only one: that spares a ring per gathering. */
  readonly #rings: Ring<T>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T, priority: number): void {
    this.#ringOf(priority).push(item);
    this.#size += 1;
  }

  /** The next one, which stays. */
  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#rings[this.#rings.length - 1].peek();
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const ring = this.#rings[this.#rings.length - 1];
    const item = ring.shift();
    this.#size -= 1;
    if (ring.size === 0 && this.#rings.length > 1) this.#rings.pop();
    return item;
  }

  /** Keeps what `keeps` says, in its order. O(size); `keeps` must not touch the queue. */
  retain(keeps: (item: T) => boolean): void {
    for (const ring of this.#rings) {
      for (let left = ring.size; left > 0; left -= 1) {
        const item = ring.shift();
        if (item !== undefined && keeps(item)) ring.push(item);
      }
    }
    const filled = this.#rings.filter(({ size }) => size > 0);
    this.#size = filled.reduce((sum, { size }) => sum + size, 0);
    this.#rings.splice(0, this.#rings.length, ...filled);
  }

  #ringOf(priority: number): Ring<T> {
    const rings = this.#rings;
    const last = rings.length - 1;
    if (last >= 0 && rings[last].priority === priority) return rings[last];
    if (last === 0 && this.#size === 0) {
      rings[0].priority = priority;
      return rings[0];
    }
    let low = 0;
    let high = rings.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rings[middle].priority > priority) low = middle + 1;
      else high = middle;
    }
    if (low < rings.length && rings[low].priority === priority) return rings[low];
    const ring = new Ring<T>(priority);
    rings.splice(low, 0, ring);
    return ring;
  }
}
