import { BLOCK, RUN_BITS, WIDE, WIDTH_BITS } from './bit-writer.ts';
import type { ByteReader } from './byte-reader.ts';
import { SketchError } from './error.ts';

const float = new DataView(new ArrayBuffer(8));

/** Reads what BitWriter wrote. Never past the end, and accepts one spelling of each number. */
export class BitReader {
  readonly #reader: ByteReader;
  #view: DataView;
  /** Bits that were read. */
  #at = 0;

  constructor(reader: ByteReader) {
    this.#reader = reader;
    this.#view = reader.rest();
  }

  /** See `ByteReader.cells`. */
  cells(size: number): Float64Array {
    return this.#reader.cells(size);
  }

  /** @param size 0 to 17 @throws SketchError `truncated` */
  take(size: number): number {
    this.#require(size);
    const value = this.#ahead() & ((1 << size) - 1);
    this.#at += size;
    return value;
  }

  /**
   * What `BitWriter.list` wrote.
   *
   * @throws SketchError `truncated`, or `format` where no writer writes such a block
   */
  list(into: Int32Array, length: number): void {
    let afterZeros = false;
    for (let from = 0; from < length; ) {
      const width = this.take(WIDTH_BITS);
      const to = Math.min(from + BLOCK, length);
      if (width === 0) {
        from = this.#zeros(into, from, length, afterZeros);
        afterZeros = true;
        continue;
      }
      const all = width < WIDE ? this.#block(into, from, to, width) : this.#wide(into, from, to);
      if (all >>> (width - 1) === 0) {
        throw new SketchError('format', `numbers of fewer bits than their width of ${width}`);
      }
      from = to;
      afterZeros = false;
    }
  }

  float32(): number {
    float.setUint32(0, this.uint32());
    return float.getFloat32(0);
  }

  float64(): number {
    const low = this.uint32();
    float.setUint32(0, this.uint32());
    float.setUint32(4, low);
    return float.getFloat64(0);
  }

  uint32(): number {
    this.#require(32);
    const at = this.#at >>> 3;
    const shift = this.#at & 7;
    this.#at += 32;
    const low = this.#view.getUint32(at, true);
    // A shift by 32 would be one by 0.
    return shift === 0
      ? low
      : ((low >>> shift) | (this.#view.getUint8(at + 4) << (32 - shift))) >>> 0;
  }

  /** What follows are bytes again. @throws SketchError `format` unless the rest of the last byte is zeros */
  end(): void {
    if (this.take(-this.#at & 7) !== 0) {
      throw new SketchError('format', 'the last byte of the bits is not filled with zeros');
    }
    this.#reader.skip(this.#at >>> 3);
  }

  /** Bytes between the bits, as `BitWriter.aside` writes them. */
  aside<T>(read: (reader: ByteReader) => T): T {
    this.end();
    const value = read(this.#reader);
    this.#view = this.#reader.rest();
    this.#at = 0;
    return value;
  }

  /** @returns all numbers, or-ed */
  #block(into: Int32Array, from: number, to: number, width: number): number {
    const view = this.#view;
    let at = this.#at;
    let all = 0;
    // Of the four bytes that begin where the last number does.
    const isInside = at + (to - from) * width <= 8 * (view.byteLength - 3);
    if (!isInside) {
      for (let k = from; k < to; k += 1) {
        into[k] = this.take(width);
        all |= into[k];
      }
      return all;
    }
    const mask = (1 << width) - 1;
    for (let k = from; k < to; k += 1) {
      const value = (view.getInt32(at >>> 3, true) >>> (at & 7)) & mask;
      into[k] = value;
      all |= value;
      at += width;
    }
    this.#at = at;
    return all;
  }

  #wide(into: Int32Array, from: number, to: number): number {
    let all = 0;
    for (let k = from; k < to; k += 1) {
      const low = this.take(WIDE);
      into[k] = low | (this.take(WIDE) << WIDE);
      all |= into[k];
    }
    return all;
  }

  /** @returns where the next block begins */
  #zeros(into: Int32Array, from: number, length: number, afterZeros: boolean): number {
    const run = this.take(RUN_BITS);
    const end = from + BLOCK * (run + 1);
    if (afterZeros || end >= length + BLOCK) {
      const behind = afterZeros ? ' behind zeros' : '';
      throw new SketchError('format', `zeros from ${from} to ${end} of ${length}${behind}`);
    }
    into.fill(0, from, Math.min(end, length));
    return end;
  }

  #require(size: number): void {
    const left = 8 * this.#view.byteLength - this.#at;
    if (size > left) throw new SketchError('truncated', `needs ${size} bits, ${left} are left`);
  }

  /** The next 25 bits at least, zeros past the end. */
  #ahead(): number {
    const at = this.#at >>> 3;
    const view = this.#view;
    if (at + 4 <= view.byteLength) return view.getInt32(at, true) >>> (this.#at & 7);
    let held = 0;
    for (let k = at; k < view.byteLength; k += 1) held |= view.getUint8(k) << (8 * (k - at));
    return held >>> (this.#at & 7);
  }
}
