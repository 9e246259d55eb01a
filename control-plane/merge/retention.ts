import type { Store } from '../store/database.ts';
import { deleteWindowsBefore } from '../store/telemetry.ts';

/** Two weeks: long enough to look back on an incident, short enough for a file on a laptop. */
export const KEEP_WINDOWS_MS = 14 * 86_400_000;
const SWEEP_INTERVAL_MS = 600_000;
/** Rows per transaction: a long one would hold up the merge. */
const SWEEP_ROWS = 500;

export interface RetentionDeps {
  readonly store: Store;
  readonly now: () => number;
  readonly keepMs?: number;
  readonly onFailure: (where: string, error: unknown) => void;
}

/** Deletes windows past their time, a little at once, for as long as the control plane runs. */
export function keepWindows(deps: RetentionDeps): { sweep(): Promise<number>; close(): void } {
  let closed = false;
  const sweep = async (): Promise<number> => {
    const before = deps.now() - (deps.keepMs ?? KEEP_WINDOWS_MS);
    let deleted = 0;
    for (let last = SWEEP_ROWS; last === SWEEP_ROWS && !closed; deleted += last) {
      last = await deps.store.write((tx) => deleteWindowsBefore(tx, before, SWEEP_ROWS));
    }
    return deleted;
  };
  const timer = setInterval(() => {
    sweep().catch((error: unknown) => deps.onFailure('retention', error));
  }, SWEEP_INTERVAL_MS);
  return {
    sweep,
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
}
