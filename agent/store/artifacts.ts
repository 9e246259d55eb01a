import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../../protocol/ids.ts';
import { MAX_MANIFEST_BYTES } from '../../protocol/limits.ts';
import { type ManifestFile, parseManifest } from '../../protocol/manifest.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { messageOf, Refusal } from '../error.ts';
import { syncFolder } from './atomic-file.ts';
import { digestOfFile, fetchArtifact, type Source } from './fetch.ts';

/**
 * Files of versions on this host, named by their digest. A file is hashed once per start of the agent before it
 * is used, so that a disk that has rotted, or a hand that has edited, is found before the runtime opens it.
 */
export class ArtifactStore {
  readonly #folder: string;
  readonly #verified = new Set<Digest>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Every file of a version, fetched where it is missing. `source` null means offline: only what is here counts.
   * Throws `Refusal`.
   */
  async ensure(manifest: Digest, source: Source | null, signal: AbortSignal): Promise<ModelFiles> {
    const manifestPath = await this.#ensureFile(manifest, null, source, signal);
    const listed = await this.#files(manifest, manifestPath);
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
      const { files } = parseManifest(await readFile(path));
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
    const path = this.#pathOf(digest);
    if (this.#verified.has(digest)) return path;
    if (await exists(path)) {
      if ((await digestOfFile(path)) === digest) {
        this.#verified.add(digest);
        return path;
      }
      await rm(path);
      if (source === null) {
        throw new Refusal('artifact-corrupt', `${digest} on this disk does not match its digest`);
      }
    }
    if (source === null) {
      throw new Refusal(
        'artifact-unavailable',
        `${digest} is not on this host, and the control plane is away`,
      );
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const part = `${path}.part`;
    // The manifest's own size is not known beforehand; it is bounded, and its digest decides.
    if (sizeBytes === null) await fetchUnsized(source, digest, part, signal);
    else await fetchArtifact(source, digest, sizeBytes, part, signal);
    await rename(part, path);
    await syncFolder(dirname(path));
    this.#verified.add(digest);
    return path;
  }

  #pathOf(digest: Digest): string {
    const hex = digest.slice('sha256:'.length);
    return join(this.#folder, 'sha256', hex.slice(0, 2), hex);
  }
}

async function fetchUnsized(
  source: Source,
  digest: Digest,
  part: string,
  signal: AbortSignal,
): Promise<void> {
  await rm(part, { force: true });
  try {
    await fetchArtifact(source, digest, MAX_MANIFEST_BYTES, part, signal);
  } catch (cause) {
    // Shorter than the bound is what is expected here: the digest says whether it is whole.
    if (!(cause instanceof Refusal) || cause.code !== 'artifact-unavailable') throw cause;
    if (!(await exists(part)) || (await digestOfFile(part)) !== digest) throw cause;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false; // what can't be looked at can't be used either
  }
}
