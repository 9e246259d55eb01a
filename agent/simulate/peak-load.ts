import type { ControlApi } from './control-api.ts';
import type { ControlPlaneFigures } from './result.ts';

const LOOK_EVERY_MS = 5_000;
const RSS = 'process_resident_memory_bytes';
const DELAY = 'driftline_event_loop_delay_seconds{quantile="0.99"}';
const DUPLICATES = 'driftline_windows_duplicate_total';

/** What the control plane says of itself while the fleet is there. */
export class PeakLoad {
  readonly #api: ControlApi;
  #timer: NodeJS.Timeout | null = null;
  #rssBefore = 0;
  #duplicatesBefore = 0;
  #rss = 0;
  #delays: number[] = [];

  constructor(api: ControlApi) {
    this.#api = api;
  }

  async before(): Promise<void> {
    const metrics = await this.#api.metrics();
    this.#rssBefore = metrics.get(RSS) ?? 0;
    this.#duplicatesBefore = metrics.get(DUPLICATES) ?? 0;
  }

  start(): void {
    this.#timer = setInterval(() => {
      // A look that fails says what the run will say anyway.
      this.#look().catch(() => undefined);
    }, LOOK_EVERY_MS);
  }

  async #look(): Promise<number> {
    const metrics = await this.#api.metrics();
    this.#rss = metrics.get(RSS) ?? 0;
    const delay = metrics.get(DELAY);
    if (delay !== undefined) this.#delays.push(delay);
    return metrics.get(DUPLICATES) ?? 0;
  }

  async end(
    agents: number,
  ): Promise<{ readonly figures: ControlPlaneFigures; readonly duplicates: number }> {
    this.stop();
    const duplicates = (await this.#look()) - this.#duplicatesBefore;
    const worst = Math.max(0, ...this.#delays);
    const figures = {
      rssMB: Math.round(this.#rss / 1e5) / 10,
      bytesPerAgent: Math.round((this.#rss - this.#rssBefore) / agents),
      eventLoopDelayP99Ms: Math.round(worst * 1e4) / 10,
    };
    return { figures, duplicates };
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
