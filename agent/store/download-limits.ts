import { setTimeout as sleep } from 'node:timers/promises';
import { Pace } from './pace.ts';

export interface DownloadBounds {
  /** Downloads at the same time. */
  readonly concurrent: number;
  /** Of all downloads together; null: as fast as it comes. */
  readonly bytesPerSecond: number | null;
}

/** One file after the other keeps a line as busy as it gets; the second fills the pauses of the first. */
export const DEFAULT_BOUNDS: DownloadBounds = { concurrent: 2, bytesPerSecond: null };

/** What all downloads of a host together may take of its line. */
export class DownloadLimits {
  readonly #concurrent: number;
  readonly #pace: Pace | null;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor({ concurrent, bytesPerSecond }: DownloadBounds) {
    this.#concurrent = concurrent;
    this.#pace = bytesPerSecond === null ? null : new Pace(bytesPerSecond);
  }

  /** Does `work` when its turn has come. Rejects with the signal's reason when that aborts before. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#turn(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The turn is handed on: nobody else can take it in between.
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  /** Resolves when the next bytes may be read, after `bytes` were. */
  async pace(bytes: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.#pace?.waitMs(bytes, performance.now()) ?? 0;
    if (waitMs > 0) await sleep(waitMs, null, { signal });
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#concurrent) {
      this.#running += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const go = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      this.#waiting.push(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
