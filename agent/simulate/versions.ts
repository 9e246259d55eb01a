import { parseManifest } from '../../protocol/manifest.ts';
import { parseProfile } from '../../protocol/profile.ts';
import type { ControlApi } from './control-api.ts';
import { drawWindows } from './traffic.ts';

/** The windows of each version, fetched and made once for all agents. */
export class Versions {
  readonly #api: ControlApi;
  readonly #rows: number;
  readonly #random: () => number;
  readonly #windows = new Map<string, Promise<readonly Uint8Array[]>>();

  constructor(api: ControlApi, rows: number, random: () => number) {
    this.#api = api;
    this.#rows = rows;
    this.#random = random;
  }

  windowsOf(manifest: string, downloadToken: string): Promise<readonly Uint8Array[]> {
    const known = this.#windows.get(manifest);
    if (known !== undefined) return known;
    const made = this.#make(manifest, downloadToken);
    this.#windows.set(manifest, made);
    // One that could not be fetched is tried again by the next that needs it.
    made.catch(() => this.#windows.delete(manifest));
    return made;
  }

  async #make(digest: string, downloadToken: string): Promise<readonly Uint8Array[]> {
    const manifest = parseManifest(await this.#api.artifact(digest, downloadToken));
    const file = manifest.files.find(({ role }) => role === 'profile');
    const profile =
      file === undefined
        ? null
        : parseProfile(await this.#api.artifact(file.digest, downloadToken));
    return drawWindows(manifest, profile, this.#rows, this.#random);
  }
}
