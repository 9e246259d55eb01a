import type { Digest } from '../../protocol/ids.ts';
import { parseManifest } from '../../protocol/manifest.ts';
import { Refusal } from '../error.ts';
import type { Disk } from './disk.ts';
import { pathOf, type StoredFile, takeInventory } from './inventory.ts';
import { planRoom, type RoomLimits } from './room.ts';

export interface StoreRoomOptions {
  readonly disk: Disk;
  readonly root: string;
  readonly limits: RoomLimits;
  now(): number;
  /** Manifests of the versions that must stay. */
  inUse(): Iterable<Digest>;
  onRemoved(file: StoredFile): void;
}

/** Keeps the store within its quota and the disk's reserve, by what is needed and what must stay. */
export class StoreRoom {
  readonly #options: StoreRoomOptions;
  /** What callers are after at the moment, and how many of them. */
  readonly #wanted = new Map<Digest, number>();
  /** Files that have room and are still coming, by their size. */
  readonly #arriving = new Map<Digest, number>();
  /** Files whose removal has begun, until it has ended. */
  readonly #leaving = new Map<Digest, Promise<void>>();
  /** What is planned by one must be on the disk before the next looks at it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: StoreRoomOptions) {
    this.#options = options;
  }

  /** These stay until they are let go as often. */
  hold(digests: readonly Digest[]): void {
    for (const digest of digests) this.#wanted.set(digest, (this.#wanted.get(digest) ?? 0) + 1);
  }

  /** Resolves when a removal of the file that had begun before it was held has ended: what is here then stays. */
  async settled(digest: Digest): Promise<void> {
    await Promise.allSettled([this.#leaving.get(digest)]);
  }

  letGo(digests: readonly Digest[]): void {
    for (const digest of digests) {
      const left = (this.#wanted.get(digest) ?? 1) - 1;
      if (left > 0) this.#wanted.set(digest, left);
      else this.#wanted.delete(digest);
    }
  }

  /**
   * Makes room for a file, does `work` with what the store holds, and gives the room back. Throws `Refusal` 'disk-full',
   * which names what is needed and what there is.
   */
  async for<T>(
    digest: Digest,
    sizeBytes: number,
    work: (files: readonly StoredFile[]) => Promise<T>,
  ): Promise<T> {
    const files = await this.#inTurn(() => this.#make(digest, sizeBytes));
    try {
      return await work(files);
    } finally {
      this.#arriving.delete(digest);
    }
  }

  /** Removes what nobody goes on with, and what a quota that was lowered leaves no room for. */
  async tidy(): Promise<void> {
    await this.#inTurn(async () => {
      const { disk, root, limits, now } = this.#options;
      await disk.makeFolder(root);
      const files = await takeInventory(disk, root);
      const [kept, freeBytes] = [await this.#kept(), await disk.freeBytes(root)];
      const nowMs = now();
      await this.#remove(
        planRoom({ files, kept, neededBytes: 0, freeBytes, limits, nowMs }).remove,
      );
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = Promise.allSettled([done]);
    return done;
  }

  async #make(digest: Digest, sizeBytes: number): Promise<readonly StoredFile[]> {
    const { disk, root, limits, now } = this.#options;
    const files = await takeInventory(disk, root);
    const [kept, freeBytes] = [await this.#kept(), await disk.freeBytes(root)];
    const coming = new Map(this.#arriving).set(digest, sizeBytes);
    const neededBytes = stillToCome(files, coming);
    const { remove, short } = planRoom({
      ...{ files, kept, neededBytes, freeBytes, limits, nowMs: now() },
    });
    // Somebody came for one of them meanwhile: it stays, and the room has to come from elsewhere.
    if (!(await this.#remove(remove))) return this.#make(digest, sizeBytes);
    if (short === null) {
      this.#arriving.set(digest, sizeBytes);
      return files.filter((file) => !remove.includes(file));
    }
    const told =
      short.limit === 'disk'
        ? `the disk has ${freeBytes} bytes free, of which ${limits.reserveBytes} stay free`
        : `the store has a quota of ${limits.quotaBytes} bytes`;
    throw new Refusal(
      'disk-full',
      `${digest} and what is coming already need ${neededBytes} bytes, and ${told}: ${short.bytes} more are needed, and nothing that is not in use is left to remove`,
    );
  }

  /** False: some are wanted since they were chosen, and stay. Between that look and the removal nobody gets a turn. */
  async #remove(files: readonly StoredFile[]): Promise<boolean> {
    let removed = 0;
    for (const file of files) {
      if (this.#wanted.has(file.digest)) continue;
      this.#options.onRemoved(file);
      const removal = this.#options.disk.remove(file.path);
      this.#leaving.set(file.digest, removal);
      try {
        await removal;
      } finally {
        this.#leaving.delete(file.digest);
      }
      removed += 1;
    }
    return removed === files.length;
  }

  /** Files of versions in use, as far as their manifests are here, and what callers are after. */
  async #kept(): Promise<ReadonlySet<Digest>> {
    const { disk, root, inUse } = this.#options;
    const kept = new Set<Digest>(this.#wanted.keys());
    for (const manifest of inUse()) {
      kept.add(manifest);
      const bytes = await disk.read(pathOf(root, manifest));
      for (const digest of bytes === null ? [] : listedIn(bytes)) kept.add(digest);
    }
    return kept;
  }
}

/** Of all files that are coming, what is not in their parts yet. */
function stillToCome(files: readonly StoredFile[], coming: ReadonlyMap<Digest, number>): number {
  let bytes = 0;
  for (const [digest, sizeBytes] of coming) {
    const part = files.find((file) => file.kind === 'part' && file.digest === digest);
    bytes += Math.max(0, sizeBytes - (part?.sizeBytes ?? 0));
  }
  return bytes;
}

/** A manifest that is rotten protects nothing: its version has to be fetched anew anyway. */
function listedIn(manifest: Uint8Array): Digest[] {
  try {
    return parseManifest(manifest).files.map(({ digest }) => digest);
  } catch (error) {
    if (error instanceof Error) return [];
    throw error;
  }
}
