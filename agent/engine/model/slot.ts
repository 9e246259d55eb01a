import type { Manifest } from '../../../protocol/manifest.ts';
import type { WindowGrids } from '../../../protocol/sketch/window.ts';
import type { Session } from './runtime.ts';

/**
 * One admitted version in memory. Requests enter and leave; once retired it takes no new ones and its
 * session is released when the last has left, so a switch neither fails a request nor mixes two versions.
 */
export class Slot {
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly grids: WindowGrids;
  readonly session: Session;
  #inFlight = 0;
  #drained: (() => void) | null = null;

  constructor(manifestDigest: string, manifest: Manifest, grids: WindowGrids, session: Session) {
    this.manifestDigest = manifestDigest;
    this.manifest = manifest;
    this.grids = grids;
    this.session = session;
  }

  enter(): void {
    this.#inFlight += 1;
  }

  leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#drained?.();
  }

  /** Resolves when the last request has left and the session's memory is given back. */
  async retire(): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    await this.session.release();
  }
}
