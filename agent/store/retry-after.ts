/** However long a server asks for: a host that is away longer looks dead. */
export const MAX_RETRY_AFTER_MS = 600_000;
/** Whoever says "now" is asked again in a while all the same. */
export const MIN_RETRY_AFTER_MS = 250;

/** How long to wait by a `Retry-After` header (RFC 9110, 10.2.3): seconds or a date. Null: it says nothing. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  const ms = /^\d{1,9}$/.test(text) ? 1000 * Number(text) : Date.parse(text) - nowMs;
  if (Number.isNaN(ms)) return null;
  return Math.min(Math.max(ms, MIN_RETRY_AFTER_MS), MAX_RETRY_AFTER_MS);
}
