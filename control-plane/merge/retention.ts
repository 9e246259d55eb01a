import { SketchError } from '../../protocol/sketch/error.ts';
import type { Store } from '../store/database.ts';
import { deleteTrips, KEEP_TRIPS_MS } from '../store/guard-trips.ts';
import {
  DAY_MS,
  dueRollups,
  HOUR_MS,
  makeRollup,
  type RollupLevel,
  sealRollups,
} from '../store/rollups.ts';
import { sumUp } from './fold.ts';

/** Two weeks: long enough to look back on an incident, short enough for a file on a laptop. */
export const KEEP_WINDOWS_MS = 14 * DAY_MS;
/** A year and a month, so that a month can be laid beside the same one of last year. Days stay. */
export const KEEP_HOURS_MS = 400 * DAY_MS;

const ROLL_INTERVAL_MS = 30_000;
const SWEEP_INTERVAL_MS = 600_000;
/** After an hour's end: its last windows are on their way. Later ones only cost that it is made again. */
const GRACE_MS = 60_000;
/** Rows that are asked for together: more would hold up the merge. */
const ROWS_A_TIME = 16;

export interface RetentionDeps {
  readonly store: Store;
  readonly now: () => number;
  /** Windows older than this live on in hours and days only. */
  readonly keepMs?: number;
  readonly onFailure: (where: string, error: unknown) => void;
}

export interface Retention {
  /** Makes the hours and days that are due; how many. */
  roll(): Promise<number>;
  /** Deletes what is past its time, windows only once they stand in a roll-up; how many rows. */
  sweep(): Promise<number>;
  /** Resolves when nothing of it is under way any more. */
  close(): Promise<void>;
}

/** Windows become hours, hours days, and what is old is deleted, a little at once, for as long as the control plane runs. */
export function keepWindows(deps: RetentionDeps): Retention {
  const keeper = new Keeper(deps);
  let tail: Promise<unknown> = Promise.resolve();
  // One after the other: a sweep must not seal what a roll is about to make anew.
  const queue = (work: () => Promise<number>): Promise<number> => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };
  const roll = () => queue(() => keeper.roll());
  const sweep = () => queue(() => keeper.sweep());
  const every = (intervalMs: number, where: string, work: () => Promise<number>) =>
    setInterval(() => {
      work().catch((error: unknown) => deps.onFailure(where, error));
    }, intervalMs);
  const timers = [
    every(ROLL_INTERVAL_MS, 'roll-up', roll),
    every(SWEEP_INTERVAL_MS, 'retention', sweep),
  ];
  return {
    roll,
    sweep,
    close: async () => {
      keeper.closed = true;
      for (const timer of timers) clearInterval(timer);
      await tail;
    },
  };
}

class Keeper {
  readonly #deps: RetentionDeps;
  closed = false;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
  }

  async roll(): Promise<number> {
    return (await this.#roll(HOUR_MS)) + (await this.#roll(DAY_MS));
  }

  async sweep(): Promise<number> {
    const { store, now, keepMs = KEEP_WINDOWS_MS } = this.#deps;
    const windows = await this.#seal(HOUR_MS, now() - keepMs);
    const hours = await this.#seal(DAY_MS, now() - Math.max(keepMs, KEEP_HOURS_MS));
    const trips = await store.write((tx) => deleteTrips(tx, now() - KEEP_TRIPS_MS));
    return windows + hours + trips;
  }

  async #roll(level: RollupLevel): Promise<number> {
    const { store, now, onFailure } = this.#deps;
    let made = 0;
    for (let stuck = 0; !this.closed; ) {
      const due = await dueRollups(store.read, level, now() - GRACE_MS, stuck + ROWS_A_TIME);
      const fresh = due.slice(stuck);
      if (fresh.length === 0) break;
      // Asked for together, they share a commit: a commit costs more than a roll-up.
      const outcomes = await Promise.allSettled(
        fresh.map((key) => store.write((tx) => makeRollup(tx, key, sumUp, now()))),
      );
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') {
          made += 1;
          continue;
        }
        if (!(outcome.reason instanceof SketchError)) throw outcome.reason;
        // It stays due, so it is read from what is below it, and the others are made.
        onFailure('roll-up', outcome.reason);
        stuck += 1;
      }
    }
    return made;
  }

  async #seal(level: RollupLevel, beforeMs: number): Promise<number> {
    let deleted = 0;
    while (!this.closed) {
      const batch = await this.#deps.store.write((tx) =>
        sealRollups(tx, level, beforeMs, ROWS_A_TIME),
      );
      deleted += batch.deleted;
      if (batch.sealed < ROWS_A_TIME) break;
    }
    return deleted;
  }
}
