import { MAX_WINDOW_BYTES, MAX_WINDOW_MS, MAX_WINDOWS_ADDED } from '../../protocol/limits.ts';
import { decodeWindow, encodeWindow } from '../../protocol/sketch/codec.ts';
import { SketchError } from '../../protocol/sketch/error.ts';
import { joinWindows } from '../../protocol/sketch/window.ts';
import type { TelemetryMessage } from '../../protocol/telemetry.ts';

/**
 * Adds up windows that would fall into the same window of twice their length (at most an hour), and those of several
 * engines that are the same window already. What is counted stays exact; when it happened gets coarser.
 *
 * A sum stands where the last of its parts stood, under that one's boot and sequence. So it must be given only windows
 * that were never on the wire: the control plane would count a part that it has had before a second time.
 *
 * @param messages in the order of the outbox
 * @returns in the same order, at most as many
 */
export function coarsen(messages: readonly TelemetryMessage[]): TelemetryMessage[] {
  const groups = new Map<string, TelemetryMessage[]>();
  for (const message of messages) {
    const key = coarseKey(message);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [message]);
    else group.push(message);
  }
  const sums = new Map<TelemetryMessage, TelemetryMessage>();
  const gone = new Set<TelemetryMessage>();
  for (const group of groups.values()) {
    const sum = group.length === 1 ? null : addUp(group);
    if (sum === null) continue;
    for (const message of group.slice(0, -1)) gone.add(message);
    sums.set(group[group.length - 1], sum);
  }
  return messages.flatMap((message) => (gone.has(message) ? [] : [sums.get(message) ?? message]));
}

function coarseKey(message: TelemetryMessage): string {
  const { deployment, manifest, arm, clockAheadMs } = message;
  const windowMs = coarseLength(message);
  return JSON.stringify([deployment, manifest, arm, windowMs, coarseStart(message), clockAheadMs]);
}

/** Twice as long, as far as an hour; what cannot be doubled stays, and may still be added to its equals. */
function coarseLength({ windowMs }: TelemetryMessage): number {
  return 2 * windowMs <= MAX_WINDOW_MS ? 2 * windowMs : windowMs;
}

function coarseStart(message: TelemetryMessage): number {
  return message.windowStartMs - (message.windowStartMs % coarseLength(message));
}

/** Null where the sum would be no window that the link takes. */
function addUp(group: readonly TelemetryMessage[]): TelemetryMessage | null {
  const windows = group.reduce((sum, message) => sum + message.windows, 0);
  if (windows > MAX_WINDOWS_ADDED) return null;
  const last = group[group.length - 1];
  const sameWindow = group.every(({ windowStartMs }) => windowStartMs === last.windowStartMs);
  const place = sameWindow
    ? { windowStartMs: last.windowStartMs, windowMs: last.windowMs }
    : { windowStartMs: coarseStart(last), windowMs: coarseLength(last) };
  try {
    const sum = group.map(({ body }) => decodeWindow(body)).reduce(joinWindows);
    const body = encodeWindow(sum);
    return body.length > MAX_WINDOW_BYTES ? null : { ...last, ...place, windows, body };
  } catch (error) {
    // Of other shapes, or counts that no longer fit: they stay as they are.
    if (error instanceof SketchError) return null;
    throw error;
  }
}
