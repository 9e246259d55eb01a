import type { Digest } from '../../protocol/ids.ts';
import { fileOfRole } from '../../protocol/manifest.ts';
import { parseProfile, windowGrids } from '../../protocol/profile.ts';
import type { Store } from '../store/database.ts';
import { findVersionByManifest } from '../store/models.ts';
import type { MonitorShape } from './drift-monitor.ts';

/** Versions whose grids are kept at hand. A fleet serves a handful; a profile may hold megabytes. */
const MAX_KEPT = 64;

/** What windows of a version are counted on and compared with. */
export class VersionShapes {
  readonly #store: Store;
  readonly #readArtifact: (digest: Digest) => Promise<Uint8Array>;
  readonly #kept = new Map<Digest, Promise<MonitorShape | null>>();

  constructor(store: Store, readArtifact: (digest: Digest) => Promise<Uint8Array>) {
    this.#store = store;
    this.#readArtifact = readArtifact;
  }

  /** Null when no such version is registered. */
  of(manifest: Digest): Promise<MonitorShape | null> {
    const kept = this.#kept.get(manifest);
    if (kept !== undefined) return kept;
    const loading = this.#load(manifest);
    this.#kept.set(manifest, loading);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    // Neither a failed read nor an unknown version may stick: the version can be pushed later.
    const forget = () => this.#kept.delete(manifest);
    loading.then((shape) => (shape === null ? forget() : undefined), forget);
    return loading;
  }

  async #load(manifest: Digest): Promise<MonitorShape | null> {
    const row = await findVersionByManifest(this.#store.read, manifest);
    if (row === null) return null;
    const file = fileOfRole(row.document, 'profile');
    const profile = file === null ? null : parseProfile(await this.#readArtifact(file.digest));
    return {
      features: profile === null ? [] : profile.features.map((feature) => feature.name),
      grids: windowGrids(row.document, profile),
      predicts: row.document.prediction !== null,
      reference: profile?.reference ?? null,
      tensors: profile?.tensors ?? [],
    };
  }
}
