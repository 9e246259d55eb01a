import type { Execution, Provider } from '../../../protocol/serving.ts';

/** What of a host one engine may use. */
export interface HostShare {
  readonly cores: number;
  /** Engine processes that share them. */
  readonly engines: number;
}

export type Place = 'inline' | 'worker';

/**
 * A call that blocks the serving thread for longer belongs beside it. The hand-off costs 15 to 40 microseconds, so at
 * the limit it adds a tenth to a fifth; inline, every other request of the engine would wait that long for each call.
 */
export const INLINE_LIMIT_US = 200;
/** Larger files open beside the serving thread, which opening blocks (8 ms for 2 MB, 0.1 s for 100 MB). */
export const INLINE_TRIAL_BYTES = 2 * 2 ** 20;
/** A quick model in a larger file may move to the serving thread if that is blocked no longer than this. */
export const INLINE_OPEN_LIMIT_MS = 20;
/** Every worker holds the weights again: by default no more of them than this allows. */
export const DEFAULT_WORKERS_BYTES = 2 ** 30;

/** What warm-up measured. */
export interface Measured {
  /** Median of one row; null when nothing could be run. */
  readonly runUs: number | null;
  readonly openMs: number;
}

/** Where a model is opened first, to be measured there. */
export function firstPlace(execution: Execution, provider: Provider, modelBytes: number): Place {
  if (execution.placement === 'inline' || execution.placement === 'worker') {
    return execution.placement;
  }
  // A call on another device waits for it: the serving thread has better to do.
  if (provider !== 'cpu') return 'worker';
  return modelBytes <= INLINE_TRIAL_BYTES ? 'inline' : 'worker';
}

/** Where it stays. A model that could not be measured stays where it was opened. */
export function lastPlace(
  execution: Execution,
  provider: Provider,
  first: Place,
  { runUs, openMs }: Measured,
): Place {
  const obeyed = execution.placement === 'inline' || execution.placement === 'worker';
  if (obeyed || provider !== 'cpu' || runUs === null) return first;
  if (runUs > INLINE_LIMIT_US) return 'worker';
  return first === 'inline' || openMs < INLINE_OPEN_LIMIT_MS ? 'inline' : 'worker';
}

/** Worker threads for one model: as asked, or one for each core of this engine's share that the weights allow. */
export function workersOf(execution: Execution, modelBytes: number, share: HostShare): number {
  if (execution.workers !== undefined) return execution.workers;
  const cores = Math.floor(share.cores / share.engines);
  const copies = Math.floor(DEFAULT_WORKERS_BYTES / Math.max(1, modelBytes));
  return Math.max(1, Math.min(cores, copies));
}
