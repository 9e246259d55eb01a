import { windowStart } from './window-start.ts';

/** The window of one length that is being filled; the same object from window to window. */
export interface OpenWindow {
  startMs: number;
  /** What every decision id of this window begins with: agent, window, engine. */
  decisionPrefix: string;
}

interface Cutter {
  readonly window: OpenWindow;
  timer: NodeJS.Timeout;
}

/** One timer per window length: everything of that length is cut together, at wall-clock multiples. */
export class WindowClock {
  readonly #engine: number;
  readonly #onCut: (windowMs: number, startMs: number) => void;
  readonly #cutters = new Map<number, Cutter>();
  #agentTag = '';

  /** `engine` tells apart all engines that this host ever had, inside decision ids. */
  constructor(engine: number, onCut: (windowMs: number, startMs: number) => void) {
    this.#engine = engine;
    this.#onCut = onCut;
  }

  set agentTag(tag: string) {
    this.#agentTag = tag;
    for (const { window } of this.#cutters.values()) this.#name(window);
  }

  /** The window of this length that is open now; starts its clock when it has none. */
  open(windowMs: number): OpenWindow {
    const known = this.#cutters.get(windowMs);
    if (known !== undefined) return known.window;
    const window = { startMs: 0, decisionPrefix: '' };
    this.#cutters.set(windowMs, { window, timer: this.#schedule(windowMs, window) });
    return window;
  }

  /** Stops the clocks of all other lengths. */
  keepOnly(lengths: ReadonlySet<number>): void {
    for (const [windowMs, { timer }] of this.#cutters) {
      if (lengths.has(windowMs)) continue;
      clearTimeout(timer);
      this.#cutters.delete(windowMs);
    }
  }

  #schedule(windowMs: number, window: OpenWindow): NodeJS.Timeout {
    const now = Date.now();
    window.startMs = windowStart(now, windowMs);
    this.#name(window);
    const { startMs } = window;
    return setTimeout(
      () => {
        this.#onCut(windowMs, startMs);
        const cutter = this.#cutters.get(windowMs);
        if (cutter !== undefined) cutter.timer = this.#schedule(windowMs, window);
      },
      startMs + windowMs - now,
    );
  }

  #name(window: OpenWindow): void {
    const start = window.startMs.toString(36);
    window.decisionPrefix = `${this.#agentTag}.${start}.${this.#engine.toString(36)}.`;
  }

  /** Cuts every open window now and stops. */
  stop(): void {
    for (const [windowMs, { window, timer }] of this.#cutters) {
      clearTimeout(timer);
      this.#onCut(windowMs, window.startMs);
    }
    this.#cutters.clear();
  }
}
