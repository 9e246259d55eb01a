import type { Digest } from '../../protocol/ids.ts';
import { emptyWindow, type WindowGrids, type WindowSketch } from '../../protocol/sketch/window.ts';
import { addDecoded } from '../merge/fold.ts';
import type { Store } from '../store/database.ts';
import { firstHour } from '../store/rollups.ts';
import { windowPages } from '../store/window-pages.ts';
import { HOUR_MS, MIN_WEEKS, seasonalHours } from './seasonal.ts';

/** A week of hours of a few deployments; each is a window in memory. */
const MAX_KEPT = 512;

/** Rows of a season below which the profile is the better reference. */
const MIN_ROWS = 1000;

/** Same hours of a version's first weeks, added up from the roll-ups. */
export class SeasonalReferences {
  readonly #store: Store;
  readonly #kept = new Map<string, WindowSketch | null>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Null until there are enough weeks, and rows, of this hour. */
  async of(
    deployment: string,
    manifest: Digest,
    grids: WindowGrids,
    block: { readonly startMs: number; readonly endMs: number },
  ): Promise<WindowSketch | null> {
    const first = await firstHour(this.#store.read, deployment, manifest);
    const hours = first === null ? [] : seasonalHours(first, block);
    if (hours.length < MIN_WEEKS) return null;
    const key = [deployment, manifest, ...hours].join(' ');
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const sum = await this.#read(deployment, manifest, grids, hours);
    this.#kept.set(key, sum);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return sum;
  }

  async #read(
    deployment: string,
    manifest: Digest,
    grids: WindowGrids,
    hours: readonly number[],
  ): Promise<WindowSketch | null> {
    const sum = emptyWindow(grids);
    const hosts = { agents: [], labels: {} };
    let weeks = 0;
    for (const fromMs of hours) {
      const before = sum.rows;
      const query = { deployment, manifest, arm: 'stable' as const, hosts };
      const span = { ...query, fromMs, toMs: fromMs + HOUR_MS };
      for await (const page of windowPages(this.#store.read, span, HOUR_MS)) {
        for (const { body } of page) addDecoded(sum, body);
      }
      if (sum.rows > before) weeks += 1;
    }
    return weeks < MIN_WEEKS || sum.rows < MIN_ROWS ? null : sum;
  }
}
