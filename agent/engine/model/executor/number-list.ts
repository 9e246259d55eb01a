import type { ProtobufReader } from '../../../../protocol/onnx/protobuf.ts';

const FIRST_CAPACITY = 16;

/** A list of numbers that grows by doubling: an attribute of a million values must not become a million boxed ones. */
export class NumberList {
  #values = new Float64Array(FIRST_CAPACITY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(2 * this.#values.length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  toArray(): Float64Array {
    return this.#values.slice(0, this.#length);
  }

  /** Reads a repeated integer field, which writers may pack (wire type 2) or not (0). */
  readIntegers(reader: ProtobufReader, wire: number): void {
    if (wire === 2) {
      const packed = reader.message();
      while (packed.at < packed.end) this.push(packed.varint());
    } else if (wire === 0) this.push(reader.varint());
    else reader.skip(wire);
  }

  /** Reads a repeated float field, packed (wire type 2) or not (5). */
  readFloats(reader: ProtobufReader, wire: number): void {
    if (wire === 2) {
      const packed = reader.message();
      while (packed.at < packed.end) this.push(packed.float32());
    } else if (wire === 5) this.push(reader.float32());
    else reader.skip(wire);
  }
}
