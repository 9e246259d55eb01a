import { createHash } from 'node:crypto';
import { indexChunks } from '../../protocol/chunk-index.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { Blobs } from './blobs.ts';

/**
 * Indexes of the chunks of artifacts. One is made when its file is pushed, or, of a file that was pushed before there
 * were any, when the first host asks.
 */
export class ChunkIndexes {
  readonly #blobs: Blobs;
  /** A wave asks for one index a thousand times: it is made once. */
  readonly #making = new Map<Digest, Promise<number>>();
  /** Reading and hashing a file takes a core for seconds: one file after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  /** Bytes of the index of a complete file, which is made if it has to be. */
  async ensure(digest: Digest, sizeBytes: number): Promise<number> {
    const made = await this.#blobs.indexSize(digest);
    if (made !== null) return made;
    const making = this.#making.get(digest) ?? this.#begin(digest, sizeBytes);
    return making;
  }

  #begin(digest: Digest, sizeBytes: number): Promise<number> {
    const making = this.#last
      .then(() => this.#make(digest, sizeBytes))
      .finally(() => this.#making.delete(digest));
    this.#making.set(digest, making);
    this.#last = Promise.allSettled([making]);
    return making;
  }

  async #make(digest: Digest, sizeBytes: number): Promise<number> {
    const pieces = sizeBytes === 0 ? nothing() : this.#blobs.stream(digest, 0, sizeBytes - 1);
    const index = await indexChunks(digest, pieces, () => createHash('sha256'));
    const bytes = new TextEncoder().encode(JSON.stringify(index));
    await this.#blobs.writeIndex(digest, bytes);
    return bytes.length;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
