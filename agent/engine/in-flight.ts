/** Counts what has entered and not left, and says when nothing is left. */
export class InFlight {
  #count = 0;
  #drained: (() => void)[] = [];

  get count(): number {
    return this.#count;
  }

  enter(): void {
    this.#count += 1;
  }

  leave(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves at once when nothing is in flight. */
  drained(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }
}

/** Resolves when none of them has anything in flight, or after `waitMs`. */
export async function drainedWithin(all: readonly InFlight[], waitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([Promise.all(all.map((inFlight) => inFlight.drained())), enough]);
  clearTimeout(timer);
}
