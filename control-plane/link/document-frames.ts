import { encodeDown, type PackedField, packReleases, releasedFrame } from '../../protocol/wire.ts';
import type { DocumentContent } from '../rollout/desired.ts';
import type { SignedDocument } from '../rollout/publisher.ts';
import type { Trust } from '../trust/trust.ts';

/** A document whose frame is made when its turn comes. */
export interface DocumentToSend {
  readonly generation: number;
  readonly frame: () => Uint8Array;
}

/**
 * The frames of documents that were put in force together. The releases of their versions are most of a frame and the same in
 * all with the same contents: they are encoded once.
 */
export class DocumentFrames {
  readonly #trust: Pick<Trust, 'releasesOf'>;
  readonly #releases = new Map<DocumentContent, PackedField>();

  constructor(trust: Pick<Trust, 'releasesOf'>) {
    this.#trust = trust;
  }

  of({ content, envelope }: SignedDocument): Uint8Array {
    const releases = this.#releasesOf(content);
    return releasedFrame(encodeDown({ kind: 'desired', envelope }), releases);
  }

  ready(document: SignedDocument): DocumentToSend {
    return { generation: document.generation, frame: () => this.of(document) };
  }

  #releasesOf(content: DocumentContent): PackedField {
    const known = this.#releases.get(content);
    if (known !== undefined) return known;
    const made = packReleases(this.#trust.releasesOf(content.manifests));
    this.#releases.set(content, made);
    return made;
  }
}
