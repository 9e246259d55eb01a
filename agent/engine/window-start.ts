/** Timers are due by another clock than that of the day, and end up to a millisecond or two before it says so. */
const EARLY_MS = 5;

/**
 * When the window of this length began that is open at `now`. Windows lie on wall-clock multiples of their length, so that those
 * of different hosts can be compared. A timer for the end of one finds the next one open, though it may come early: else
 * that one would be cut a second time, with what came in a millisecond.
 */
export function windowStart(now: number, windowMs: number): number {
  return Math.floor((now + EARLY_MS) / windowMs) * windowMs;
}
