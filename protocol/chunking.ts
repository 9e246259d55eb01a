/**
 * Content-defined chunking: where a file is cut depends on the bytes around the cut, so that two files that share a
 * stretch share its chunks, wherever it lies in them. After FastCDC (Xia et al., USENIX ATC 2016): a gear hash, no look
 * at the first `MIN_CHUNK_BYTES`, and a stricter condition before the average size than after it.
 *
 * Cuts are part of the protocol: another table, mask or bound cuts elsewhere, and no chunk of an old file is found again.
 */
export const MIN_CHUNK_BYTES = 16 * 1024;
export const AVERAGE_CHUNK_BYTES = 64 * 1024;
export const MAX_CHUNK_BYTES = 256 * 1024;

/** 18 and 14 bits, where one of 16 would make an average of 64 KiB. The highest have seen the last 32 bytes. */
const STRICT_MASK = 0xffffc000 | 0;
const LAX_MASK = 0xfffc0000 | 0;

/** A pseudo-random number for each byte: the finalizer of MurmurHash3 over a Weyl sequence. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) => {
  let mixed = Math.imul(byte + 1, 0x9e3779b9);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
});

/** Cuts one file that comes in pieces; how it comes in pieces changes no cut. */
export class Chunker {
  #size = 0;
  #hash = 0;

  /** Sizes, in bytes, of the chunks that end within `data`. */
  push(data: Uint8Array): number[] {
    const cuts: number[] = [];
    for (let at = 0; at < data.length; ) {
      if (this.#size < MIN_CHUNK_BYTES) {
        const skipped = Math.min(MIN_CHUNK_BYTES - this.#size, data.length - at);
        at += skipped;
        this.#size += skipped;
        continue;
      }
      const isStrict = this.#size < AVERAGE_CHUNK_BYTES;
      const most = (isStrict ? AVERAGE_CHUNK_BYTES : MAX_CHUNK_BYTES) - this.#size;
      const end = Math.min(data.length, at + most);
      const next = this.#scan(data, at, end, isStrict ? STRICT_MASK : LAX_MASK);
      this.#size += Math.abs(next) - at;
      at = Math.abs(next);
      // Below zero: a cut was found there.
      if (next < 0 || this.#size === MAX_CHUNK_BYTES) {
        cuts.push(this.#size);
        this.#size = 0;
        this.#hash = 0;
      }
    }
    return cuts;
  }

  /** The size of the last chunk; 0 when the file ended with a cut. */
  finish(): number {
    const rest = this.#size;
    this.#size = 0;
    this.#hash = 0;
    return rest;
  }

  /** Behind the byte that makes a cut, as a negative number; `end` when none before it does. */
  #scan(data: Uint8Array, from: number, end: number, mask: number): number {
    let hash = this.#hash;
    for (let at = from; at < end; at += 1) {
      hash = ((hash << 1) + GEAR[data[at]]) | 0;
      if ((hash & mask) === 0) return -(at + 1);
    }
    this.#hash = hash;
    return end;
  }
}
