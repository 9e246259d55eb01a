/** Something with a deadline; `heapAt` is where it stands in `Deadlines`, -1 outside. */
export interface Timed {
  readonly deadlineMs: number;
  heapAt: number;
}

/** What is due first: a binary heap whose members know their places, so that each can leave in O(log n). */
export class Deadlines<T extends Timed> {
  readonly #heap: T[] = [];

  /** The earliest deadline; `Infinity` when there is none. */
  get earliestMs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0].deadlineMs;
  }

  add(item: T): void {
    this.#heap.push(item);
    this.#rise(item, this.#heap.length - 1);
  }

  /** Nothing happens to what is not in it. */
  remove(item: T): void {
    const at = item.heapAt;
    if (at === -1) return;
    item.heapAt = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === item) return;
    this.#rise(last, at);
    this.#sink(last, last.heapAt);
  }

  /** Takes out the earliest one if its deadline has come. */
  takeDue(nowMs: number): T | undefined {
    const first = this.#heap.at(0);
    if (first === undefined || first.deadlineMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #rise(item: T, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = this.#heap[(at - 1) >> 1];
      if (parent.deadlineMs <= item.deadlineMs) break;
      this.#put(parent, at);
      at = (at - 1) >> 1;
    }
    this.#put(item, at);
  }

  #sink(item: T, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (let child = 2 * at + 1; child < heap.length; child = 2 * at + 1) {
      const right = child + 1;
      if (right < heap.length && heap[right].deadlineMs < heap[child].deadlineMs) child = right;
      if (heap[child].deadlineMs >= item.deadlineMs) break;
      this.#put(heap[child], at);
      at = child;
    }
    this.#put(item, at);
  }

  #put(item: T, at: number): void {
    this.#heap[at] = item;
    item.heapAt = at;
  }
}
