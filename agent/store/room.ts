import type { Digest } from '../../protocol/ids.ts';
import type { StoredFile } from './inventory.ts';

/** How much the store may take of a disk. */
export interface RoomLimits {
  /** Of all files together. */
  readonly quotaBytes: number;
  /** What stays free on the disk for logs, windows and whoever else writes there. */
  readonly reserveBytes: number;
}

export const DEFAULT_ROOM: RoomLimits = { quotaBytes: 20 * 2 ** 30, reserveBytes: 512 * 2 ** 20 };

/** A download that nobody has gone on with for so long is not wanted any more. */
export const PART_LIFE_MS = 7 * 86_400_000;

export interface RoomQuestion {
  readonly files: readonly StoredFile[];
  /** Artifacts that must stay, whole or on their way in. */
  readonly kept: ReadonlySet<Digest>;
  /** Bytes still to be written. */
  readonly neededBytes: number;
  readonly freeBytes: number;
  readonly limits: RoomLimits;
  readonly nowMs: number;
}

export interface RoomAnswer {
  readonly remove: readonly StoredFile[];
  /** What does not fit even so; null: all does. */
  readonly short: { readonly limit: 'quota' | 'disk'; readonly bytes: number } | null;
}

/**
 * What to remove so that `neededBytes` fit: stale parts always, and beyond them the artifacts that were used least
 * recently, each with the index beside it. Nothing that is kept. Removes no artifact when that would not be enough
 * anyway. Pure.
 */
export function planRoom(question: RoomQuestion): RoomAnswer {
  const { files, kept, neededBytes, freeBytes, limits, nowMs } = question;
  const wholes = new Set(files.filter(({ kind }) => kind === 'whole').map(({ digest }) => digest));
  const isStale = ({ digest, kind, modifiedMs }: StoredFile) =>
    !kept.has(digest) &&
    ((kind === 'part' && nowMs - modifiedMs > PART_LIFE_MS) ||
      (kind === 'chunks' && !wholes.has(digest)));
  const stale = files.filter(isStale);
  const rest = files.filter((file) => !isStale(file));
  const overQuota = sizeOf(rest) + neededBytes - limits.quotaBytes;
  // What is here already has taken its room: only what comes needs the reserve.
  const overDisk =
    neededBytes === 0 ? 0 : neededBytes + limits.reserveBytes - freeBytes - sizeOf(stale);
  const over = Math.max(overQuota, overDisk);
  if (over <= 0) return { remove: stale, short: null };
  const { victims, freedBytes } = leastRecent(rest, kept, over);
  if (freedBytes >= over) return { remove: [...stale, ...victims], short: null };
  const limit = overQuota >= overDisk ? 'quota' : 'disk';
  return { remove: stale, short: { limit, bytes: over - freedBytes } };
}

function leastRecent(files: readonly StoredFile[], kept: ReadonlySet<Digest>, bytes: number) {
  const usedMs = new Map<Digest, number>();
  for (const { digest, kind, modifiedMs } of files) {
    if (kind !== 'chunks' && !kept.has(digest)) {
      usedMs.set(digest, Math.max(modifiedMs, usedMs.get(digest) ?? 0));
    }
  }
  const victims: StoredFile[] = [];
  let freedBytes = 0;
  for (const [digest] of [...usedMs].sort(([, a], [, b]) => a - b)) {
    if (freedBytes >= bytes) break;
    const its = files.filter((file) => file.digest === digest);
    victims.push(...its);
    freedBytes += sizeOf(its);
  }
  return { victims, freedBytes };
}

function sizeOf(files: readonly StoredFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
