import { SketchError } from './error.ts';

const FIRST_SIZE = 4096;
/** A buffer larger than this is not kept for the next use. */
const MAX_KEPT = 256 * 1024;

/** Offsets below this are written in steps of 2^-13, and so is the first octave above. */
const LEAST_NORMAL = 2 ** -3;
/** Exponent code 1 stands for 2^-3: what is taken off the float32's own code, in units of the 16-bit number. */
const REBIAS = (127 - 3 - 1) << 10;
/** Largest |value| of `float16`. */
const MAX_FLOAT16 = 2 ** 28 - 2 ** 17;

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** Appends numbers to a growing buffer. Little-endian. May be used again after `clear`. */
export class ByteWriter {
  #bytes = new Uint8Array(FIRST_SIZE);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** What was written so far; a view, valid until the next write. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > MAX_KEPT) this.#grow(FIRST_SIZE);
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(2 * this.#length);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /**
   * Room for so many bytes more, for loops that write thousands: what they put into `bytes` from `length` on is written
   * once they call `advance`. Valid until anything else is written that may be longer than the room.
   */
  room(size: number): Uint8Array {
    const needed = this.#length + size;
    if (needed > this.#bytes.length) this.#grow(Math.max(needed, 2 * this.#bytes.length));
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  advance(length: number): void {
    this.#length = length;
  }

  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  float64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value, true);
  }

  /**
   * LEB128: seven bits a byte, lowest first, top bit = more follow. `index` apart from `name`: to put a text
   * together for each of thousands of cells took longer than to write them.
   *
   * @throws SketchError `value` unless a whole number from 0 to 2^53 − 1
   */
  count(value: number, name: string, index?: number): void {
    // Nearly all counts of a window take one byte or two.
    if ((value & 0x7f) === value) {
      this.byte(value);
      return;
    }
    if ((value & 0x3fff) === value) {
      const at = this.#reserve(2);
      this.#bytes[at] = value | 0x80;
      this.#bytes[at + 1] = value >>> 7;
      return;
    }
    this.#longCount(value, name, index);
  }

  #longCount(value: number, name: string, index: number | undefined): void {
    let rest = value;
    if (value >>> 0 !== value) {
      this.#requireCount(value, name, index);
      // Shifts cut numbers to 32 bits: divided until they fit.
      while (rest > 0xffffffff) {
        this.byte((rest % 0x80) | 0x80);
        rest = Math.floor(rest / 0x80);
      }
    }
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  float16(value: number): void {
    const code = float16Code(value);
    const at = this.#reserve(2);
    this.#bytes[at] = code;
    this.#bytes[at + 1] = code >>> 8;
  }

  #requireCount(value: number, name: string, index: number | undefined): void {
    if (Number.isSafeInteger(value) && value >= 0) return;
    const place = index === undefined ? name : `${name}[${index}]`;
    throw new SketchError('value', `${place} ${value}: a whole number from 0 to 2^53 - 1`);
  }

  /** May replace the bytes and the view: call it before they are read, never as their argument. */
  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      this.#grow(Math.max(this.#length, this.#bytes.length * 2));
    }
    return at;
  }

  #grow(size: number): void {
    const grown = new Uint8Array(size);
    grown.set(this.#bytes.subarray(0, Math.min(size, this.#length)));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/**
 * Sign, 5 exponent bits e, 10 mantissa bits m: (1024 + m) · 2^(e − 14), and m · 2^-13 for e = 0; rounded half up.
 * Off by at most 2^-11 (plus 2^-25 of the float32 in between) of the value, or 2^-14 below 2^-3. Larger ones than it
 * holds become the largest.
 */
export function float16Code(value: number): number {
  const magnitude = Math.abs(value);
  let code = 0;
  if (magnitude < LEAST_NORMAL) code = (magnitude * 2 ** 13 + 0.5) | 0;
  else {
    single[0] = Math.min(magnitude, MAX_FLOAT16);
    code = ((singleBits[0] + 0x1000) >>> 13) - REBIAS;
  }
  return value < 0 ? code | 0x8000 : code;
}
