import type { ByteWriter } from './byte-writer.ts';

/** Numbers of a list that share a width. */
export const BLOCK = 8;
export const WIDTH_BITS = 4;
/** Stands for two halves of 15 bits; numbers that large are rare. */
export const WIDE = 15;
export const MAX_NUMBER = 2 ** (2 * WIDE) - 1;
/** How many more blocks of zeros follow one: all that the longest list has, the buckets of a latency. */
export const RUN_BITS = 9;
/** What a float64 takes, and more than a number with its share of the widths; and what waits. */
const MAX_NUMBER_BYTES = 8;
const SPARE_BYTES = 8;

const float = new DataView(new ArrayBuffer(8));

/** Appends bits to the bytes of a ByteWriter, the lowest bit of each number first, until `end`. */
export class BitWriter {
  readonly #writer: ByteWriter;
  #bytes: Uint8Array;
  #at: number;
  /** The lowest #count bits wait, at most 15; those above are zeros. */
  #held = 0;
  #count = 0;

  constructor(writer: ByteWriter) {
    this.#writer = writer;
    this.#at = writer.length;
    this.#bytes = writer.room(SPARE_BYTES);
  }

  /** Must be called before so many numbers, of any kind and of lists, are written. */
  room(numbers: number): void {
    this.#writer.advance(this.#at);
    this.#bytes = this.#writer.room(MAX_NUMBER_BYTES * numbers + SPARE_BYTES);
  }

  /** @param size 0 to 17 bits, of which `value` has no more */
  put(value: number, size: number): void {
    this.#held |= value << this.#count;
    this.#count += size;
    if (this.#count < 16) return;
    this.#bytes[this.#at] = this.#held;
    this.#bytes[this.#at + 1] = this.#held >>> 8;
    this.#at += 2;
    this.#held >>>= 16;
    this.#count -= 16;
  }

  /**
   * Numbers in blocks of eight, each of which takes as many bits as the largest of them: the width, then the numbers.
   * Zeros have width 0, then how many more such blocks follow.
   *
   * @param values whole numbers from 0 to MAX_NUMBER; the caller has checked
   */
  list(values: Int32Array, length: number): void {
    for (let from = 0; from < length; ) {
      const to = Math.min(from + BLOCK, length);
      let all = 0;
      for (let k = from; k < to; k += 1) all |= values[k];
      const width = 32 - Math.clz32(all);
      if (width === 0) from = this.#zeros(values, from, length);
      else {
        if (width < WIDE) this.#block(values, from, to, width);
        else this.#wideBlock(values, from, to);
        from = to;
      }
    }
  }

  float32(value: number): void {
    float.setFloat32(0, value);
    this.uint32(float.getUint32(0));
  }

  float64(value: number): void {
    float.setFloat64(0, value);
    this.uint32(float.getUint32(4));
    this.uint32(float.getUint32(0));
  }

  uint32(value: number): void {
    this.put(value & 0xffff, 16);
    this.put(value >>> 16, 16);
  }

  /** The rest of the last byte is zeros; then bytes may follow. */
  end(): void {
    for (; this.#count > 0; this.#count -= 8) {
      this.#bytes[this.#at] = this.#held;
      this.#at += 1;
      this.#held >>>= 8;
    }
    this.#count = 0;
    this.#writer.advance(this.#at);
  }

  /** Bytes between the bits; the byte before them is filled as by `end`. */
  aside(write: (writer: ByteWriter) => void): void {
    this.end();
    write(this.#writer);
    this.#at = this.#writer.length;
    this.room(0);
  }

  #block(values: Int32Array, from: number, to: number, width: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let held = this.#held | (width << this.#count);
    let count = this.#count + WIDTH_BITS;
    let k = from;
    for (;;) {
      if (count >= 16) {
        bytes[at] = held;
        bytes[at + 1] = held >>> 8;
        at += 2;
        held >>>= 16;
        count -= 16;
      }
      if (k === to) break;
      held |= values[k] << count;
      count += width;
      k += 1;
    }
    this.#at = at;
    this.#held = held;
    this.#count = count;
  }

  #wideBlock(values: Int32Array, from: number, to: number): void {
    this.put(WIDE, WIDTH_BITS);
    for (let k = from; k < to; k += 1) {
      this.put(values[k] & 0x7fff, WIDE);
      this.put(values[k] >>> WIDE, WIDE);
    }
  }

  /** @returns where the next block begins */
  #zeros(values: Int32Array, from: number, length: number): number {
    let end = from + BLOCK;
    while (end < length && values[end] === 0) end += 1;
    if (end > length) end = length;
    const blocks = end === length ? Math.ceil((end - from) / BLOCK) : (end - from) >> 3;
    this.put(0, WIDTH_BITS);
    this.put(blocks - 1, RUN_BITS);
    return from + BLOCK * blocks;
  }
}
