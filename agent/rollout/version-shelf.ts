import type { Digest } from '../../protocol/ids.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { messageOf, Refusal } from '../error.ts';
import type { ArtifactStore } from '../store/artifacts.ts';
import type { Source } from '../store/source.ts';
import { mayPass, type RefusedVersion } from './serving-plan.ts';

/** The versions this host has at hand, and those it refuses. */
export class VersionShelf {
  readonly #artifacts: ArtifactStore;
  readonly #files = new Map<Digest, ModelFiles>();
  readonly #refused = new Map<Digest, RefusedVersion>();
  readonly #onRefused: (manifest: Digest, refusal: RefusedVersion) => void;

  constructor(
    artifacts: ArtifactStore,
    onRefused: (manifest: Digest, refusal: RefusedVersion) => void,
  ) {
    this.#artifacts = artifacts;
    this.#onRefused = onRefused;
  }

  get refused(): ReadonlyMap<Digest, RefusedVersion> {
    return this.#refused;
  }

  filesOf(manifest: Digest): ModelFiles | null {
    return this.#files.get(manifest) ?? null;
  }

  /** Whether it is missing for a reason that may pass, or not tried yet. */
  mayCome(manifest: Digest): boolean {
    const refusal = this.#refused.get(manifest);
    return !this.#files.has(manifest) && (refusal === undefined || mayPass(refusal.code));
  }

  /** From this host's disk alone. Throws `Refusal`. */
  async restore(manifest: Digest): Promise<void> {
    const never = new AbortController().signal;
    this.#files.set(manifest, await this.#artifacts.ensure(manifest, null, never));
  }

  /** Fetches what is missing; a version that can't be had is refused. Does nothing when it is here. */
  async fetch(manifest: Digest, source: Source | null, signal: AbortSignal): Promise<void> {
    if (this.#files.has(manifest)) return;
    try {
      this.#files.set(manifest, await this.#artifacts.ensure(manifest, source, signal));
      this.#refused.delete(manifest);
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof Refusal ? error.code : 'artifact-unavailable';
      this.refuse(manifest, { code, detail: messageOf(error) });
    }
  }

  refuse(manifest: Digest, refusal: RefusedVersion): void {
    const again = this.#refused.get(manifest)?.code === refusal.code;
    this.#refused.set(manifest, refusal);
    this.#files.delete(manifest);
    // A download is retried every two seconds, perhaps for days: said once is enough.
    if (!again) this.#onRefused(manifest, refusal);
  }

  /** A file was removed to make room: versions that had it are fetched anew when they are wanted. */
  evicted(path: string): void {
    for (const [manifest, files] of this.#files) {
      if (Object.values(files).includes(path)) this.#files.delete(manifest);
    }
  }

  /** What was refused is offered anew only by a new desired state. */
  forgive(): void {
    this.#refused.clear();
  }
}
