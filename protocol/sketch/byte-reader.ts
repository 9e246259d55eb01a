import { SketchError } from './error.ts';

/**
 * Reads what ByteWriter wrote. Never past the end, and accepts one spelling of each number. Names are for errors; the
 * `index` of a cell stands apart, because to put a text together for each cell took longer than to read it.
 */
export class ByteReader {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#view.byteLength - this.#at;
  }

  byte(name: string, index?: number): number {
    return this.#view.getUint8(this.#take(1, name, index));
  }

  float64(name: string): number {
    return this.#view.getFloat64(this.#take(8, name), true);
  }

  float24(name: string, index?: number): number {
    const at = this.#take(3, name, index);
    const upper = this.#view.getUint16(at, true) | (this.#view.getUint8(at + 2) << 16);
    float32.setUint32(0, upper << 8);
    return float32.getFloat32(0);
  }

  /** @throws SketchError `truncated`, or `format` above 2^53 − 1 or when longer than needed */
  count(name: string, index?: number): number {
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
    if (size > this.remaining) {
      throw new SketchError(
        'truncated',
        `${placeOf(name, index)}: needs ${size} bytes at offset ${this.#at}, ${this.remaining} are left`,
      );
    }
    const at = this.#at;
    this.#at += size;
    return at;
  }
}

function placeOf(name: string, index?: number): string {
  return index === undefined ? name : `${name}[${index}]`;
}

const float32 = new DataView(new ArrayBuffer(4));
