/** Cuts a body that comes as the network likes into chunks. */
export class ChunkReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #skip: number;
  #rest: Uint8Array = new Uint8Array(0);

  /** @param skip bytes at the beginning of the body that nobody asked for */
  constructor(body: AsyncIterable<Uint8Array>, skip: number) {
    this.#pieces = body[Symbol.asyncIterator]();
    this.#skip = skip;
  }

  /** The next `size` bytes; fewer when the body ends. */
  async read(size: number): Promise<Uint8Array> {
    const chunk = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#pieces.next();
        if (done) break;
        const skipped = Math.min(this.#skip, value.length);
        this.#skip -= skipped;
        this.#rest = value.subarray(skipped);
        continue;
      }
      const taken = this.#rest.subarray(0, size - filled);
      chunk.set(taken, filled);
      filled += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
    }
    return chunk.subarray(0, filled);
  }
}
