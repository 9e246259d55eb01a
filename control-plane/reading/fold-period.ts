import {
  emptyWindow,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';
import { type Period, pointOf } from './resolution.ts';

/** One stored window of one host, decoded. */
export interface HostWindow {
  readonly host: string;
  readonly startMs: number;
  readonly window: WindowSketch;
}

/** Hosts whose sketches are kept apart; the rest is added up as OTHER_HOSTS. Each costs a window of memory. */
export const MAX_HOSTS_APART = 200;
export const OTHER_HOSTS = 'other hosts';

/** What a period adds up to; `hosts` is empty unless they were to be kept apart. */
export interface PeriodTotals {
  readonly total: WindowSketch;
  readonly hosts: ReadonlyMap<string, WindowSketch>;
}

/**
 * Adds up windows in ascending order of time: exact merges per point, per host and in all. Holds one point at a time;
 * `onPoint` is told each when it is complete and must not keep its window.
 * Mutable: feed it with `add`, end it with `end`.
 *
 * @throws SketchError `shape` when a window was counted on other cells
 */
export class PeriodFold {
  readonly #grids: WindowGrids;
  readonly #period: Period;
  readonly #onPoint: (startMs: number, window: WindowSketch) => void;
  readonly #total: WindowSketch;
  readonly #hostsApart: boolean;
  readonly #hosts = new Map<string, WindowSketch>();
  #point: { readonly startMs: number; readonly window: WindowSketch } | null = null;

  constructor(
    grids: WindowGrids,
    period: Period,
    onPoint: (startMs: number, window: WindowSketch) => void,
    hostsApart: boolean,
  ) {
    this.#hostsApart = hostsApart;
    this.#grids = grids;
    this.#period = period;
    this.#onPoint = onPoint;
    this.#total = emptyWindow(grids);
  }

  add({ host, startMs, window }: HostWindow): void {
    const at = pointOf(this.#period, startMs);
    if (this.#point !== null && this.#point.startMs !== at) this.#closePoint();
    this.#point ??= { startMs: at, window: emptyWindow(this.#grids) };
    mergeWindow(this.#point.window, window);
    if (this.#hostsApart) mergeWindow(this.#hostTotal(host), window);
  }

  end(): PeriodTotals {
    this.#closePoint();
    return { total: this.#total, hosts: this.#hosts };
  }

  #closePoint(): void {
    if (this.#point === null) return;
    const { startMs, window } = this.#point;
    this.#onPoint(startMs, window);
    mergeWindow(this.#total, window);
    this.#point = null;
  }

  #hostTotal(host: string): WindowSketch {
    const name = this.#hosts.has(host) || this.#hosts.size < MAX_HOSTS_APART ? host : OTHER_HOSTS;
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const fresh = emptyWindow(this.#grids);
    this.#hosts.set(name, fresh);
    return fresh;
  }
}
