import { SketchError } from './error.ts';

/** Appends numbers to a growing buffer. Little-endian. */
export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** What was written so far; a view, valid until the next write. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
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
   * LEB128: seven bits a byte, lowest first, top bit = more follow.
   * Divides instead of shifting, because shifts cut numbers to 32 bits. `index` apart from `name`: to put a text
   * together for each of thousands of cells took longer than to write them.
   *
   * @throws SketchError `value` unless a whole number from 0 to 2^53 − 1
   */
  count(value: number, name: string, index?: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      const place = index === undefined ? name : `${name}[${index}]`;
      throw new SketchError('value', `${place} ${value}: a whole number from 0 to 2^53 - 1`);
    }
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /**
   * The upper 24 bits of the float32 nearest to `value`, rounded half up: sign, 8 exponent bits,
   * 15 mantissa bits. Relative error at most 2^-16 (plus 2^-25 of the float32 itself) for
   * 2^-126 <= |value| < 2^127.
   */
  float24(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value, true);
    const rounded = (this.#view.getUint32(at, true) + 0x80) >>> 8;
    this.#view.setUint32(at, rounded, true);
    this.#length -= 1;
  }

  /** May replace the view: call it before `this.#view` is read, never as its argument. */
  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
