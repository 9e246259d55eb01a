/**
 * Which hours a moment is compared with where traffic follows the week: the same hour of the version's first weeks.
 * Not of the latest weeks: what drifts slowly, or stays drifted for a month, would become its own reference.
 */
export const HOUR_MS = 3_600_000;
export const WEEK_MS = 168 * HOUR_MS;

/** A block that spans more than so much is compared with the profile. */
export const LONGEST_BLOCK_MS = 2 * HOUR_MS;

/** Weeks that make the reference, and how many of them must be there (`research/monitoring.md` (iii) C6). */
export const REFERENCE_WEEKS = 4;
export const MIN_WEEKS = 2;

/**
 * Starts of the hours of the reference, oldest first; fewer than MIN_WEEKS: there is no season yet.
 *
 * @param firstMs start of the version's first hour
 * @param block what is to be compared: it must not be compared with itself
 */
export function seasonalHours(
  firstMs: number,
  block: { readonly startMs: number; readonly endMs: number },
): readonly number[] {
  // Low traffic: what has gathered over many hours is no hour of the week.
  if (block.endMs - block.startMs > LONGEST_BLOCK_MS) return [];
  const middle = (block.startMs + block.endMs) / 2;
  const hour = middle - (middle % HOUR_MS);
  // The first hour itself is seldom whole.
  const behind = Math.floor((hour - firstMs - 1) / WEEK_MS);
  const oldest = hour - behind * WEEK_MS;
  return Array.from({ length: REFERENCE_WEEKS }, (_, week) => oldest + week * WEEK_MS).filter(
    (start) => start + HOUR_MS <= block.startMs && start > firstMs,
  );
}
