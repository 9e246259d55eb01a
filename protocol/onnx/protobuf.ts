import { ProtocolError } from '../error.ts';

/**
 * A cursor over protobuf wire format (protobuf.dev/programming-guides/encoding), reading only: enough to
 * look into an ONNX file without running native code on bytes that nobody has vouched for.
 */
export class ProtobufReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  #view: DataView;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The next field's number and wire type, or null at the end of this message. */
  next(): { field: number; wire: number } | null {
    if (this.at >= this.end) return null;
    const tag = this.varint();
    const field = Math.floor(tag / 8);
    if (field < 1) throw broken(`field number ${field} at byte ${this.at}`);
    return { field, wire: tag % 8 };
  }

  /** A varint as a number: exact up to 2^53; larger values (negative int64) come back as negative numbers. */
  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw broken(`a varint is cut off at byte ${this.at}`);
      const byte = this.bytes[this.at];
      this.at += 1;
      const part = byte & 0x7f;
      if (shift < 28) low += part * 2 ** shift;
      else high += part * 2 ** (shift - 28);
      if (byte < 0x80) {
        // high counts units of 2^28; bit 63 set means a negative int64.
        if (high >= 2 ** 35) return (high - 2 ** 36) * 2 ** 28 + low;
        return high * 2 ** 28 + low;
      }
    }
    throw broken(`a varint is longer than 10 bytes at byte ${this.at}`);
  }

  /** The byte range of a length-delimited field, as a reader over the same bytes. */
  message(): ProtobufReader {
    const length = this.varint();
    const start = this.at;
    if (length < 0 || length > this.end - start) {
      throw broken(
        `a field of ${length} bytes at byte ${start} reaches past the ${this.end} there are`,
      );
    }
    this.at = start + length;
    return new ProtobufReader(this.bytes, start, start + length);
  }

  text(): string {
    const range = this.message();
    return new TextDecoder().decode(this.bytes.subarray(range.at, range.end));
  }

  float32(): number {
    const at = this.#fixed(4);
    return this.#view.getFloat32(at, true);
  }

  skip(wire: number): void {
    if (wire === 0) this.varint();
    else if (wire === 1) this.#fixed(8);
    else if (wire === 2) this.message();
    else if (wire === 5) this.#fixed(4);
    else throw broken(`wire type ${wire} at byte ${this.at}`);
  }

  #fixed(size: number): number {
    const at = this.at;
    if (size > this.end - at) throw broken(`a ${size}-byte value is cut off at byte ${at}`);
    this.at = at + size;
    return at;
  }
}

function broken(what: string): ProtocolError {
  return new ProtocolError('onnx', `not an ONNX file: ${what}`);
}
