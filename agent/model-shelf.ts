import type { Digest } from '../protocol/ids.ts';
import type { DownloadProgress } from '../protocol/progress.ts';
import { messageOf } from './error.ts';
import type { RefusedVersion } from './rollout/serving-plan.ts';
import { VersionShelf } from './rollout/version-shelf.ts';
import { ArtifactStore } from './store/artifacts.ts';
import { type DownloadBounds, DownloadLimits } from './store/download-limits.ts';
import { ProgressBoard } from './store/progress.ts';
import type { RoomLimits } from './store/room.ts';

export interface ModelShelfOptions {
  readonly folder: string;
  readonly bounds: RoomLimits & DownloadBounds;
  /** Manifests of versions whose files must stay. */
  inUse(): Iterable<Digest>;
  onRequest(bytes: number): void;
  /** A download that was not waited for has ended. */
  onLate(): void;
  /** What is being downloaded: at most once a second. */
  onProgress(downloads: DownloadProgress[]): void;
  onRefused(detail: string): void;
  log(level: 'info' | 'warn', message: string, detail: object): void;
}

/** What this host holds of models. */
export interface ModelShelf {
  readonly versions: VersionShelf;
  /** Removes what nobody goes on with; to be called once it is known what is in use. */
  tidy(): void;
}

/** Files in the store, versions on the shelf, and what ties them: a version whose file made room is at hand no more. */
export function openShelf(options: ModelShelfOptions): ModelShelf {
  const { folder, bounds, inUse, onRequest, onLate, onProgress, onRefused, log } = options;
  const artifacts = new ArtifactStore(folder, {
    room: bounds,
    limits: new DownloadLimits(bounds),
    progress: new ProgressBoard(onProgress),
    ...{ inUse, onRequest },
    onEvicted: (path) => {
      log('info', 'removed to make room', { path });
      versions.evicted(path);
    },
  });
  const refuse = (manifest: Digest, { code, detail }: RefusedVersion) => {
    log('warn', 'version refused', { manifest, code, detail });
    onRefused(`${manifest}: ${code}: ${detail}`);
  };
  const versions: VersionShelf = new VersionShelf(artifacts, refuse, { onLate });
  return {
    versions,
    tidy: () => {
      artifacts.tidy().catch((error: unknown) => {
        log('warn', 'could not tidy the store of models', { reason: messageOf(error) });
      });
    },
  };
}
