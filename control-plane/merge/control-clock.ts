import type { TelemetryMessage } from '../../protocol/telemetry.ts';

/** What one exchange of messages over a slow network can be off by: no reason to move a window. */
const TOLERATED_MS = 2_000;

/**
 * When a window began on this control plane's clock: its start on the host's clock less how far that one is ahead, at
 * the nearest multiple of its length, where the windows of other hosts lie. Small differences, and what is within half
 * a window, move nothing.
 *
 * @param clockAheadMs as the host measured it when the window was made; null: it did not know
 */
export function onControlClock(
  { windowStartMs, windowMs }: Pick<TelemetryMessage, 'windowStartMs' | 'windowMs'>,
  clockAheadMs: number | null,
): number {
  if (clockAheadMs === null || Math.abs(clockAheadMs) <= TOLERATED_MS) return windowStartMs;
  const moved = Math.round((windowStartMs - clockAheadMs) / windowMs) * windowMs;
  return Math.max(0, moved);
}
