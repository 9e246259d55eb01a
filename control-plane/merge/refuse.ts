import type { SketchError } from '../../protocol/sketch/error.ts';
import type { RefusalReason } from '../store/refusals.ts';

/**
 * How far a host's clock may be ahead. A window that began later than this would stand in a time that has not come, and
 * be compared with nothing when it does.
 */
export const MAX_AHEAD_MS = 300_000;

/** Why a window is not merged, in words and as what is counted. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  readonly detail: string;
}

export function refused(reason: RefusalReason, detail: string): Refused {
  return { kind: 'refused', reason, detail };
}

/** Another shape is another profile: the bytes are whole, but counted on cells that this version does not have. */
export function refusedBySketch(error: SketchError): Refused {
  return refused(error.kind === 'shape' ? 'other-reference' : 'damaged', error.message);
}

/** Null when the time is possible. */
export function refusedByTime(windowStartMs: number, now: number): Refused | null {
  const ahead = windowStartMs - now;
  if (ahead <= MAX_AHEAD_MS) return null;
  return refused(
    'from-the-future',
    `the window begins ${Math.round(ahead / 1000)} s from now, at most ${MAX_AHEAD_MS / 1000} s are allowed: set the host's clock`,
  );
}
