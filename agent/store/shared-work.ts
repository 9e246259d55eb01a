interface Running<V> {
  readonly result: Promise<V>;
  readonly abort: AbortController;
  waiting: number;
}

/** One piece of work for each key, however many wait for it. It is aborted when the last of them has gone. */
export class SharedWork<K, V> {
  readonly #running = new Map<K, Running<V>>();

  isRunning(key: K): boolean {
    return this.#running.has(key);
  }

  /** Joins the work of `key`, or begins it. Rejects with the signal's reason when that aborts. */
  async run(key: K, signal: AbortSignal, work: (signal: AbortSignal) => Promise<V>): Promise<V> {
    signal.throwIfAborted();
    let running = this.#running.get(key);
    // What was given up may still have a file open: whoever comes next waits for its end.
    while (running?.abort.signal.aborted) {
      await Promise.allSettled([running.result]);
      running = this.#running.get(key);
    }
    running ??= this.#begin(key, work);
    running.waiting += 1;
    try {
      return await orAborted(running.result, signal);
    } finally {
      running.waiting -= 1;
      if (running.waiting === 0) {
        running.abort.abort();
        await Promise.allSettled([running.result]);
      }
    }
  }

  #begin(key: K, work: (signal: AbortSignal) => Promise<V>): Running<V> {
    const abort = new AbortController();
    const result = work(abort.signal).finally(() => this.#running.delete(key));
    const running = { result, abort, waiting: 0 };
    this.#running.set(key, running);
    return running;
  }
}

function orAborted<V>(result: Promise<V>, signal: AbortSignal): Promise<V> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
