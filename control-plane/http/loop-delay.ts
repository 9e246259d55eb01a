import { monitorEventLoopDelay } from 'node:perf_hooks';

const INTERVAL_MS = 15_000;
const RESOLUTION_MS = 10;

/** How late the timers of this process are: what every link and every request waits for. */
export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  /** By quantile, of the last whole interval. */
  seconds: Readonly<Record<string, number>> = {};

  constructor() {
    this.#histogram.enable();
    setInterval(() => this.#turn(), INTERVAL_MS).unref();
  }

  #turn(): void {
    // The histogram counts the time between two timers; what is above their distance is delay.
    const late = (percentile: number) =>
      Math.max(0, this.#histogram.percentile(percentile) / 1e9 - RESOLUTION_MS / 1000);
    this.seconds = { '0.5': late(50), '0.99': late(99), '1': late(100) };
    this.#histogram.reset();
  }
}
