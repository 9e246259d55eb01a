import { SketchError } from './error.ts';

/** 2^(e − 14) for each exponent code e of a `float16`; codes 0 and 1 share a step. */
const STEPS = Float64Array.from({ length: 32 }, (_, code) => 2 ** (Math.max(1, code) - 14));

/** Numbers of one piece of memory that `cells` hands out bit by bit: a window of 16 features needs 3,200. */
const SLAB_CELLS = 4096;

/**
 * Reads what ByteWriter wrote. Never past the end, and accepts one spelling of each number. Names are for errors; the
 * `index` of a cell stands apart, because to put a text together for each cell took longer than to read it.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #slab: ArrayBuffer | null = null;
  #used = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** What has not been read. */
  rest(): DataView {
    const { buffer, byteOffset } = this.#bytes;
    return new DataView(buffer, byteOffset + this.#at, this.remaining);
  }

  /** Passes over bytes of `rest` that were read elsewhere. */
  skip(size: number): void {
    this.#at += size;
  }

  /**
   * Zeros to read into; the caller has bounded how many. Pieces of one buffer, which lives as long as any of them: a
   * buffer for each took five times as long, and that was a third of reading a window.
   */
  cells(size: number): Float64Array {
    if (size > SLAB_CELLS) return new Float64Array(size);
    if (this.#slab === null || size > SLAB_CELLS - this.#used) {
      this.#slab = new ArrayBuffer(8 * SLAB_CELLS);
      this.#used = 0;
    }
    const cells = new Float64Array(this.#slab, 8 * this.#used, size);
    this.#used += size;
    return cells;
  }

  byte(name: string, index?: number): number {
    return this.#bytes[this.#take(1, name, index)];
  }

  float64(name: string): number {
    return this.#view.getFloat64(this.#take(8, name), true);
  }

  /** As `ByteWriter.float16` writes it: every one is finite. */
  float16(name: string, index?: number): number {
    const at = this.#take(2, name, index);
    const code = this.#bytes[at] | (this.#bytes[at + 1] << 8);
    const exponent = (code >>> 10) & 0x1f;
    const mantissa = exponent === 0 ? code & 0x3ff : 0x400 | (code & 0x3ff);
    const magnitude = mantissa * STEPS[exponent];
    return code < 0x8000 ? magnitude : -magnitude;
  }

  /** The upper 24 bits of a float32: offsets of bins in windows of format 1. */
  float24(name: string, index?: number): number {
    const at = this.#take(3, name, index);
    const upper = this.#view.getUint16(at, true) | (this.#bytes[at + 2] << 16);
    float32.setUint32(0, upper << 8);
    return float32.getFloat32(0);
  }

  /** @throws SketchError `truncated`, or `format` above 2^53 − 1 or when longer than needed */
  count(name: string, index?: number): number {
    const at = this.#at;
    const bytes = this.#bytes;
    // Nearly all counts of a window take one byte or two.
    if (at + 1 < bytes.length) {
      const low = bytes[at];
      if (low < 0x80) {
        this.#at = at + 1;
        return low;
      }
      const high = bytes[at + 1];
      if (high < 0x80 && high > 0) {
        this.#at = at + 2;
        return (low & 0x7f) | (high << 7);
      }
    }
    return this.#anyCount(name, index);
  }

  #anyCount(name: string, index?: number): number {
    let value = 0;
    let weight = 1;
    for (;;) {
      const byte = this.byte(name, index);
      value += (byte & 0x7f) * weight;
      if (value > Number.MAX_SAFE_INTEGER) {
        throw new SketchError('format', `${placeOf(name, index)}: above 2^53 - 1`);
      }
      if (byte < 0x80) {
        if (byte === 0 && weight > 1) {
          const place = placeOf(name, index);
          throw new SketchError('format', `${place}: ${value} written with more bytes than needed`);
        }
        return value;
      }
      weight *= 0x80;
      // Without this, a run of 0x80 bytes would be read to the end of the input.
      if (weight > Number.MAX_SAFE_INTEGER) {
        throw new SketchError('format', `${placeOf(name, index)}: more than 8 bytes`);
      }
    }
  }

  #take(size: number, name: string, index?: number): number {
    const at = this.#at;
    if (size > this.#bytes.length - at) this.#refuse(size, name, index);
    this.#at = at + size;
    return at;
  }

  #refuse(size: number, name: string, index: number | undefined): never {
    throw new SketchError(
      'truncated',
      `${placeOf(name, index)}: needs ${size} bytes at offset ${this.#at}, ${this.remaining} are left`,
    );
  }
}

function placeOf(name: string, index?: number): string {
  return index === undefined ? name : `${name}[${index}]`;
}

const float32 = new DataView(new ArrayBuffer(4));
