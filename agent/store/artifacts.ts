import { dirname } from 'node:path';
import { MIN_CHUNKED_BYTES } from '../../protocol/chunk-index.ts';
import type { Digest } from '../../protocol/ids.ts';
import { MAX_MANIFEST_BYTES } from '../../protocol/limits.ts';
import { type ManifestFile, parseManifest } from '../../protocol/manifest.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { messageOf, Refusal } from '../error.ts';
import { digestOfFile } from './digest.ts';
import { type Disk, realDisk } from './disk.ts';
import { downloadArtifact } from './download.ts';
import { DEFAULT_BOUNDS, DownloadLimits } from './download-limits.ts';
import { pathOf } from './inventory.ts';
import type { ProgressBoard } from './progress.ts';
import { DEFAULT_ROOM, type RoomLimits } from './room.ts';
import { SharedWork } from './shared-work.ts';
import type { Source } from './source.ts';
import { StoreRoom } from './store-room.ts';

export interface ArtifactStoreOptions {
  readonly disk: Disk;
  readonly room: RoomLimits;
  readonly limits: DownloadLimits;
  /** Where is told how far large files are; null: nowhere. */
  readonly progress: ProgressBoard | null;
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
  progress: null,
  now: Date.now,
  inUse: () => [],
  onEvicted: () => undefined,
  onRequest: () => undefined,
};

/** A version that is fetched, and where from. */
interface Fetching {
  readonly manifest: Digest;
  readonly source: Source | null;
  readonly signal: AbortSignal;
}

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
  readonly #room: StoreRoom;

  constructor(folder: string, options: Partial<ArtifactStoreOptions> = {}) {
    this.#folder = folder;
    this.#root = `${folder}/sha256`;
    this.#options = { ...DEFAULTS, limits: new DownloadLimits(DEFAULT_BOUNDS), ...options };
    const { disk, room, now, inUse, onEvicted } = this.#options;
    this.#room = new StoreRoom({
      ...{ disk, root: this.#root, limits: room, now, inUse },
      onRemoved: ({ digest, path }) => {
        this.#verified.delete(digest);
        onEvicted(path);
      },
    });
  }

  /**
   * Every file of a version, fetched where it is missing. `source` null means offline: only what is here counts.
   * Throws `Refusal`; when `signal` aborts, its reason.
   */
  async ensure(manifest: Digest, source: Source | null, signal: AbortSignal): Promise<ModelFiles> {
    const wanted = [manifest];
    const fetching = { manifest, source, signal };
    this.#room.hold([manifest]);
    try {
      const manifestPath = await this.#ensureFile(fetching, manifest, null);
      const listed = await this.#files(manifest, manifestPath);
      const more = listed.map(({ digest }) => digest);
      wanted.push(...more);
      this.#room.hold(more);
      const files = await this.#ensureListed(fetching, manifestPath, listed);
      await this.#touch(wanted);
      return files;
    } catch (cause) {
      signal.throwIfAborted();
      throw refusalOf(manifest, cause);
    } finally {
      this.#room.letGo(wanted);
    }
  }

  async #ensureListed(
    fetching: Fetching,
    manifestPath: string,
    listed: readonly ManifestFile[],
  ): Promise<ModelFiles> {
    const { manifest } = fetching;
    const path = async (role: ManifestFile['role']): Promise<string | null> => {
      const file = listed.find((candidate) => candidate.role === role);
      return file === undefined ? null : this.#ensureFile(fetching, file.digest, file.sizeBytes);
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
    { manifest, source, signal }: Fetching,
    digest: Digest,
    sizeBytes: number | null,
  ): Promise<string> {
    const path = pathOf(this.#root, digest);
    // It is held: once a removal that began before has ended, none begins.
    await this.#room.settled(digest);
    const state = await this.#verify(digest, path);
    if (state === 'whole') return path;
    if (source === null) throw await this.#missing(digest, path, state);
    const { limits } = this.#options;
    await this.#downloads.run(digest, signal, (shared) =>
      limits.run(shared, () =>
        this.#download({ manifest, source, signal: shared }, digest, sizeBytes),
      ),
    );
    return path;
  }

  /** A file that has rotted is removed: that is this disk's fault, and from then on it is only missing. */
  async #missing(digest: Digest, path: string, state: 'corrupt' | 'missing'): Promise<Refusal> {
    if (state === 'corrupt') {
      if (!this.#downloads.isRunning(digest)) await this.#options.disk.remove(path);
      return new Refusal('artifact-corrupt', `${digest} on this disk does not match its digest`);
    }
    const told = `${digest} is not on this host, and the control plane is away`;
    return new Refusal('artifact-unavailable', told);
  }

  async #verify(digest: Digest, path: string): Promise<'whole' | 'corrupt' | 'missing'> {
    const { disk } = this.#options;
    if ((await disk.stat(path)) === null) {
      this.#verified.delete(digest);
      return 'missing';
    }
    if (this.#verified.has(digest)) return 'whole';
    if ((await digestOfFile(disk, path)) !== digest) return 'corrupt';
    this.#verified.add(digest);
    return 'whole';
  }

  async #download(
    { manifest, source, signal }: Fetching & { readonly source: Source },
    digest: Digest,
    sizeBytes: number | null,
  ): Promise<void> {
    const { disk, onRequest, limits, progress } = this.#options;
    const path = pathOf(this.#root, digest);
    // Somebody else's download of it may have ended since it was looked for: that file is in use already.
    if ((await this.#verify(digest, path)) === 'whole') return;
    await this.#makeFolder(dirname(path));
    // What is corrupt makes room.
    await disk.remove(path);
    const onProgress = (doneBytes: number) => {
      if (sizeBytes === null || sizeBytes < MIN_CHUNKED_BYTES) return;
      progress?.set({ manifest, digest, doneBytes, totalBytes: sizeBytes });
    };
    try {
      await this.#room.for(digest, sizeBytes ?? MAX_MANIFEST_BYTES, (files) => {
        const wanted = { disk, source, digest, sizeBytes, maxBytes: MAX_MANIFEST_BYTES };
        const pace = (bytes: number) => limits.pace(bytes, signal);
        const partPath = `${path}.part`;
        const download = { ...wanted, partPath, signal, onRequest, onProgress, pace };
        return downloadArtifact(download, path, files);
      });
    } finally {
      progress?.end(digest);
    }
    this.#verified.add(digest);
  }

  /** Removes what nobody goes on with, and what a quota that was lowered leaves no room for. */
  tidy(): Promise<void> {
    return this.#room.tidy();
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

  async #touch(digests: readonly Digest[]): Promise<void> {
    const { disk, now } = this.#options;
    for (const digest of digests) await disk.touch(pathOf(this.#root, digest), now());
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
