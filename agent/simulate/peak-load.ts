import type { ControlApi } from './control-api.ts';
import type { ControlPlaneFigures, Held } from './result.ts';

const LOOK_EVERY_MS = 5_000;
/** The control plane tells of its last whole quarter of a minute: what it tells earlier begins before the first look. */
const SETTLED_AFTER_MS = 30_000;
const RSS = 'process_resident_memory_bytes';
const DELAY = 'driftline_event_loop_delay_seconds{quantile="0.99"}';
const DUPLICATES = 'driftline_windows_duplicate_total';

/** What the control plane says of itself while the fleet is there. */
export class PeakLoad {
  readonly #api: ControlApi;
  #timer: NodeJS.Timeout | null = null;
  #rssBefore = 0;
  #duplicatesBefore = 0;
  #startedMs = 0;
  #looks: { readonly afterMs: number; readonly rss: number; readonly delay: number }[] = [];
  /** How many looks were before anything was asked of the fleet. */
  #quiet: number | null = null;

  constructor(api: ControlApi) {
    this.#api = api;
  }

  async before(): Promise<void> {
    const metrics = await this.#api.metrics();
    this.#rssBefore = metrics.get(RSS) ?? 0;
    this.#duplicatesBefore = metrics.get(DUPLICATES) ?? 0;
  }

  start(): void {
    this.#startedMs = performance.now();
    this.#timer = setInterval(() => {
      // A look that fails says what the run will say anyway.
      this.#look().catch(() => undefined);
    }, LOOK_EVERY_MS);
  }

  async #look(): Promise<number> {
    const metrics = await this.#api.metrics();
    const afterMs = performance.now() - this.#startedMs;
    this.#looks.push({ afterMs, rss: metrics.get(RSS) ?? 0, delay: metrics.get(DELAY) ?? 0 });
    return metrics.get(DUPLICATES) ?? 0;
  }

  /** Until here the fleet was left alone. */
  endOfQuiet(): void {
    this.#quiet = this.#looks.length;
  }

  async end(
    agents: number,
  ): Promise<{ readonly figures: ControlPlaneFigures; readonly duplicates: number }> {
    this.stop();
    const duplicates = (await this.#look()) - this.#duplicatesBefore;
    const isSettled = ({ afterMs }: { afterMs: number }) => afterMs >= SETTLED_AFTER_MS;
    const quiet = this.#looks.slice(0, this.#quiet ?? this.#looks.length).filter(isSettled);
    const settled = this.#looks.filter(isSettled);
    const rss = this.#looks.at(-1)?.rss ?? 0;
    const figures = {
      rssMB: Math.round(rss / 1e5) / 10,
      ...this.#held(settled.length === 0 ? this.#looks : settled, agents),
      quiet: quiet.length === 0 ? null : this.#held(quiet, agents),
    };
    return { figures, duplicates };
  }

  #held(looks: readonly { readonly rss: number; readonly delay: number }[], agents: number): Held {
    const worst = Math.max(...looks.map(({ delay }) => delay));
    return {
      bytesPerAgent: Math.round(((looks.at(-1)?.rss ?? 0) - this.#rssBefore) / agents),
      eventLoopDelayP99Ms: Math.round(worst * 1e4) / 10,
    };
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
