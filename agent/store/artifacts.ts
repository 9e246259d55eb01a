import { dirname } from 'node:path';
import type { Digest } from '../../protocol/ids.ts';
import { MAX_MANIFEST_BYTES } from '../../protocol/limits.ts';
import { type ManifestFile, parseManifest } from '../../protocol/manifest.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { messageOf, Refusal } from '../error.ts';
import { digestOfFile } from './digest.ts';
import { type Disk, realDisk } from './disk.ts';
import { downloadArtifact } from './download.ts';
import { DEFAULT_BOUNDS, DownloadLimits } from './download-limits.ts';
import { pathOf, type StoredFile, takeInventory } from './inventory.ts';
import { DEFAULT_ROOM, planRoom, type RoomLimits } from './room.ts';
import { SharedWork } from './shared-work.ts';
import type { Source } from './source.ts';

export interface ArtifactStoreOptions {
  readonly disk: Disk;
  readonly room: RoomLimits;
  readonly limits: DownloadLimits;
  now(): number;
  /** Manifests of the versions that must stay: wanted, served, and what there is to go back to. */
  inUse(): Iterable<Digest>;
  /** A file was removed to make room. */
  onEvicted(path: string): void;
  /** Bytes of this host that a request for an artifact carries. */
  onRequest(bytes: number): void;
}

const DEFAULTS: Omit<ArtifactStoreOptions, 'limits'> = {
  disk: realDisk,
  room: DEFAULT_ROOM,
  now: Date.now,
  inUse: () => [],
  onEvicted: () => undefined,
  onRequest: () => undefined,
};

/**
 * Files of versions on this host, named by their digest: versions that share a file have it once. A file is hashed once
 * per start of the agent before it is used, so that a disk that has rotted, or a hand that has edited, is found before
 * the runtime opens it.
 *
 *     ensure ─▶ here and verified? ─▶ used
 *                  │ no
 *                  ▼
 *               room for it? ─▶ <hex>.part ─▶ digest? ─▶ sync, rename, sync folder ─▶ <hex>
 */
export class ArtifactStore {
  readonly #root: string;
  readonly #folder: string;
  readonly #options: ArtifactStoreOptions;
  readonly #verified = new Set<Digest>();
  /** Those that are there for good. */
  readonly #folders = new Set<string>();
  /** Two callers who want the same file share one download. */
  readonly #downloads = new SharedWork<Digest, void>();
  /** What callers are after at the moment, and how many of them. */
  readonly #wanted = new Map<Digest, number>();
  #making: Promise<unknown> = Promise.resolve();

  constructor(folder: string, options: Partial<ArtifactStoreOptions> = {}) {
    this.#folder = folder;
    this.#root = `${folder}/sha256`;
    this.#options = { ...DEFAULTS, limits: new DownloadLimits(DEFAULT_BOUNDS), ...options };
  }

  /**
   * Every file of a version, fetched where it is missing. `source` null means offline: only what is here counts.
   * Throws `Refusal`; when `signal` aborts, its reason.
   */
  async ensure(manifest: Digest, source: Source | null, signal: AbortSignal): Promise<ModelFiles> {
    const wanted = [manifest];
    this.#want(wanted, 1);
    try {
      const manifestPath = await this.#ensureFile(manifest, null, source, signal);
      const listed = await this.#files(manifest, manifestPath);
      const more = listed.map(({ digest }) => digest);
      wanted.push(...more);
      this.#want(more, 1);
      const files = await this.#ensureListed(manifest, manifestPath, listed, source, signal);
      await this.#touch(wanted);
      return files;
    } catch (cause) {
      signal.throwIfAborted();
      throw refusalOf(manifest, cause);
    } finally {
      this.#want(wanted, -1);
    }
  }

  async #ensureListed(
    manifest: Digest,
    manifestPath: string,
    listed: readonly ManifestFile[],
    source: Source | null,
    signal: AbortSignal,
  ): Promise<ModelFiles> {
    const path = async (role: ManifestFile['role']): Promise<string | null> => {
      const file = listed.find((candidate) => candidate.role === role);
      if (file === undefined) return null;
      return this.#ensureFile(file.digest, file.sizeBytes, source, signal);
    };
    const modelPath = (await path('model')) ?? (await path('pipeline'));
    if (modelPath === null) {
      throw new Refusal('manifest-invalid', `manifest ${manifest} lists no model or pipeline file`);
    }
    return {
      manifest,
      manifestPath,
      modelPath,
      profilePath: await path('profile'),
      goldenPath: await path('golden'),
    };
  }

  async #files(digest: Digest, path: string): Promise<readonly ManifestFile[]> {
    try {
      const bytes = await this.#options.disk.read(path);
      if (bytes === null) throw new Error('it is gone from the disk');
      const { files } = parseManifest(bytes);
      const roles = files.map(({ role }) => role);
      const twice = roles.find((role, at) => roles.indexOf(role) !== at);
      if (twice !== undefined) throw new Error(`two files have the role "${twice}"`);
      return files;
    } catch (cause) {
      throw new Refusal('manifest-invalid', `manifest ${digest}: ${messageOf(cause)}`, { cause });
    }
  }

  async #ensureFile(
    digest: Digest,
    sizeBytes: number | null,
    source: Source | null,
    signal: AbortSignal,
  ): Promise<string> {
    const path = pathOf(this.#root, digest);
    const state = this.#verified.has(digest) ? 'whole' : await this.#verify(digest, path);
    if (state === 'whole') return path;
    if (source === null) {
      throw state === 'corrupt'
        ? new Refusal('artifact-corrupt', `${digest} on this disk does not match its digest`)
        : new Refusal(
            'artifact-unavailable',
            `${digest} is not on this host, and the control plane is away`,
          );
    }
    await this.#downloads.run(digest, signal, (shared) =>
      this.#options.limits.run(shared, () => this.#download(digest, sizeBytes, source, shared)),
    );
    return path;
  }

  async #verify(digest: Digest, path: string): Promise<'whole' | 'corrupt' | 'missing'> {
    const { disk } = this.#options;
    if ((await disk.stat(path)) === null) return 'missing';
    if ((await digestOfFile(disk, path)) !== digest) return 'corrupt';
    this.#verified.add(digest);
    return 'whole';
  }

  async #download(
    digest: Digest,
    sizeBytes: number | null,
    source: Source,
    signal: AbortSignal,
  ): Promise<void> {
    const { disk } = this.#options;
    const path = pathOf(this.#root, digest);
    // Somebody else's download of it may have ended since it was looked for; what is corrupt makes room.
    if (this.#verified.has(digest)) return;
    await disk.remove(path);
    const partPath = `${path}.part`;
    await this.#makeFolder(dirname(path));
    const maxBytes = MAX_MANIFEST_BYTES;
    const held = (await disk.stat(partPath))?.sizeBytes ?? 0;
    const files = await this.#makeRoom(digest, Math.max(0, (sizeBytes ?? maxBytes) - held));
    const { onRequest, limits } = this.#options;
    const pace = (bytes: number) => limits.pace(bytes, signal);
    await downloadArtifact(
      { disk, source, digest, sizeBytes, maxBytes, partPath, signal, onRequest, pace },
      path,
      files,
    );
    this.#verified.add(digest);
  }

  /** Removes what nobody goes on with, and what a quota that was lowered leaves no room for. */
  async tidy(): Promise<void> {
    await this.#options.disk.makeFolder(this.#root);
    await this.#makeRoom(null, 0);
  }

  /** A folder that isn't synced into the one above it takes its files along when the power goes. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    const { disk } = this.#options;
    await disk.makeFolder(folder);
    for (const above of [this.#root, this.#folder, dirname(this.#folder)]) {
      await disk.syncFolder(above);
    }
    this.#folders.add(folder);
  }

  /** Two downloads that begin at once must not count on the same free bytes: one after the other. */
  #makeRoom(digest: Digest | null, neededBytes: number): Promise<readonly StoredFile[]> {
    const done = this.#making.then(() => this.#makeRoomAlone(digest, neededBytes));
    this.#making = Promise.allSettled([done]);
    return done;
  }

  /** Resolves with the files that stay. */
  async #makeRoomAlone(digest: Digest | null, neededBytes: number): Promise<readonly StoredFile[]> {
    const { disk, room: limits, now, onEvicted } = this.#options;
    const files = await takeInventory(disk, this.#root);
    const freeBytes = await disk.freeBytes(this.#root);
    const kept = await this.#kept();
    const { remove, short } = planRoom({
      ...{ files, kept, neededBytes, freeBytes, limits, nowMs: now() },
    });
    for (const file of remove) {
      this.#verified.delete(file.digest);
      onEvicted(file.path);
      await disk.remove(file.path);
    }
    if (short === null || digest === null) return files.filter((file) => !remove.includes(file));
    const told =
      short.limit === 'disk'
        ? `the disk has ${freeBytes} bytes free, of which ${limits.reserveBytes} stay free`
        : `the store has a quota of ${limits.quotaBytes} bytes`;
    throw new Refusal(
      'disk-full',
      `${digest} needs ${neededBytes} bytes, and ${told}: ${short.bytes} more are needed, and nothing that is not in use is left to remove`,
    );
  }

  /** Files of versions in use, as far as their manifests are here, and what is being fetched. */
  async #kept(): Promise<ReadonlySet<Digest>> {
    const kept = new Set<Digest>(this.#wanted.keys());
    for (const manifest of this.#options.inUse()) {
      kept.add(manifest);
      const bytes = await this.#options.disk.read(pathOf(this.#root, manifest));
      for (const digest of bytes === null ? [] : listedIn(bytes)) kept.add(digest);
    }
    return kept;
  }

  #want(digests: readonly Digest[], by: 1 | -1): void {
    for (const digest of digests) {
      const count = (this.#wanted.get(digest) ?? 0) + by;
      if (count > 0) this.#wanted.set(digest, count);
      else this.#wanted.delete(digest);
    }
  }

  async #touch(digests: readonly Digest[]): Promise<void> {
    const { disk, now } = this.#options;
    for (const digest of digests) await disk.touch(pathOf(this.#root, digest), now());
  }
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

/** What the disk threw, as the control plane can decide by it. */
function refusalOf(manifest: Digest, cause: unknown): Refusal {
  if (cause instanceof Refusal) return cause;
  const full = cause instanceof Error && 'code' in cause && isFull(cause.code);
  const what = `the disk failed while ${manifest} was fetched: ${messageOf(cause)}`;
  return new Refusal(full ? 'disk-full' : 'artifact-unavailable', what, { cause });
}

function isFull(code: unknown): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT';
}
