import type { Digest } from '../../protocol/ids.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { messageOf, Refusal } from '../error.ts';
import type { ArtifactStore } from '../store/artifacts.ts';
import type { Source } from '../store/source.ts';
import { mayPass, type RefusedVersion } from './serving-plan.ts';

/**
 * A download that takes longer goes on behind, and what is here is served meanwhile: a rollback of one deployment must
 * not wait for the model of another. Long enough for small models, which then come with one switch.
 */
const PATIENCE_MS = 5_000;

export interface ShelfOptions {
  readonly patienceMs?: number;
  /** One that was not waited for any longer has come, or can't be had. */
  onLate?(): void;
}

interface Coming {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  /** Nobody waits for it any longer. */
  isLate: boolean;
}

/** The versions this host has at hand, those that are coming, and those it refuses. */
export class VersionShelf {
  readonly #artifacts: ArtifactStore;
  readonly #files = new Map<Digest, ModelFiles>();
  readonly #refused = new Map<Digest, RefusedVersion>();
  readonly #coming = new Map<Digest, Coming>();
  readonly #onRefused: (manifest: Digest, refusal: RefusedVersion) => void;
  readonly #options: ShelfOptions;

  constructor(
    artifacts: ArtifactStore,
    onRefused: (manifest: Digest, refusal: RefusedVersion) => void,
    options: ShelfOptions = {},
  ) {
    this.#artifacts = artifacts;
    this.#onRefused = onRefused;
    this.#options = options;
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

  /**
   * Fetches what is missing; a version that can't be had is refused, and one that takes long counts as unavailable until
   * it has come. Does nothing when it is here.
   */
  async fetch(manifest: Digest, source: Source | null, signal: AbortSignal): Promise<void> {
    if (this.#files.has(manifest)) return;
    if (source === null) {
      this.#giveUp(manifest);
      await this.#take(manifest, null, signal);
      return;
    }
    const coming = this.#coming.get(manifest) ?? this.#begin(manifest, source);
    const patienceMs = coming.isLate ? 0 : (this.#options.patienceMs ?? PATIENCE_MS);
    if (await settlesWithin(coming.done, patienceMs, signal)) return;
    // It may have ended since the time was up: then nobody would say so any more.
    if (signal.aborted || this.#coming.get(manifest) !== coming) return;
    coming.isLate = true;
    this.#refused.set(manifest, { code: 'artifact-unavailable', detail: 'it is being fetched' });
  }

  #begin(manifest: Digest, source: Source): Coming {
    const abort = new AbortController();
    const done = this.#take(manifest, source, abort.signal).finally(() => {
      if (this.#coming.get(manifest) === coming) this.#coming.delete(manifest);
      if (coming.isLate && !abort.signal.aborted) this.#options.onLate?.();
    });
    const coming = { done, abort, isLate: false };
    this.#coming.set(manifest, coming);
    return coming;
  }

  async #take(manifest: Digest, source: Source | null, signal: AbortSignal): Promise<void> {
    try {
      const files = await this.#artifacts.ensure(manifest, source, signal);
      // Given up in the very moment in which it came: it may have been refused for what it is.
      if (signal.aborted) return;
      this.#files.set(manifest, files);
      this.#refused.delete(manifest);
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof Refusal ? error.code : 'artifact-unavailable';
      this.#note(manifest, { code, detail: messageOf(error) });
    }
  }

  /** Whether a download goes on that says by itself when it ends. */
  isLate(manifest: Digest): boolean {
    return this.#coming.get(manifest)?.isLate ?? false;
  }

  /** Ends downloads of all but these. */
  comeOnly(wanted: readonly Digest[]): void {
    for (const manifest of this.#coming.keys()) {
      if (!wanted.includes(manifest)) this.#giveUp(manifest);
    }
  }

  #giveUp(manifest: Digest): void {
    this.#coming.get(manifest)?.abort.abort();
    this.#coming.delete(manifest);
  }

  refuse(manifest: Digest, refusal: RefusedVersion): void {
    this.#giveUp(manifest);
    this.#note(manifest, refusal);
  }

  #note(manifest: Digest, refusal: RefusedVersion): void {
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

/** Whether `work`, which never rejects, ends before the time does or the signal aborts. */
async function settlesWithin(
  work: Promise<void>,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  let stop: () => void = () => undefined;
  const time = new Promise<false>((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    const leave = () => resolve(false);
    signal.addEventListener('abort', leave);
    stop = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    };
  });
  const settled = await Promise.race([work.then(() => true as const), time]);
  stop();
  return settled;
}
