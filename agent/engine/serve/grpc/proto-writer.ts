import { BLOCK, FIXED64, VARINT } from './proto-reader.ts';

const FIRST_BYTES = 4096;
/** A buffer that one large answer has grown beyond this is not kept for the small ones after it. */
const KEPT_BYTES = 1024 * 1024;

/** Where a nested message began, to be given back to `end`. */
export type Mark = number;

/**
 * Writes protobuf messages one after the other into one buffer that grows and is used again. A nested message
 * reserves one byte for its length and is moved when it needs more, which those of 128 bytes and more do.
 * Values of proto3's default are left out by the caller, or not: readers take both.
 */
export class ProtoWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  reset(): void {
    this.#at = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  /** Copies what was written: the buffer itself is used again. */
  copyTo(target: Buffer, at: number): void {
    this.#bytes.copy(target, at, 0, this.#at);
  }

  tag(field: number, wire: number): void {
    this.varint(field * 8 + wire);
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#reserve(10);
    const bytes = this.#bytes;
    let left = value;
    let at = this.#at;
    while (left >= 0x80) {
      bytes[at] = (left % 0x80) | 0x80;
      at += 1;
      left = Math.floor(left / 0x80);
    }
    bytes[at] = left;
    this.#at = at + 1;
  }

  /** Any 64-bit integer, as the low and the high half of its two's complement. */
  varint64(lowBits: number, highBits: number): void {
    this.#reserve(10);
    const bytes = this.#bytes;
    let low = lowBits >>> 0;
    let high = highBits >>> 0;
    let at = this.#at;
    while (high !== 0 || low >= 0x80) {
      bytes[at] = (low & 0x7f) | 0x80;
      at += 1;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    bytes[at] = low;
    this.#at = at + 1;
  }

  /** An int32 or int64 that a number holds exactly. */
  integer(value: number): void {
    if (value >= 0) this.varint(value);
    else this.varint64(value % 2 ** 32, Math.floor(value / 2 ** 32));
  }

  int64(field: number, value: number): void {
    this.tag(field, VARINT);
    this.integer(value);
  }

  bool(field: number, value: boolean): void {
    this.tag(field, VARINT);
    this.varint(value ? 1 : 0);
  }

  double(field: number, value: number): void {
    this.tag(field, FIXED64);
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  text(field: number, value: string): void {
    const mark = this.begin(field);
    // A UTF-16 unit takes at most 3 bytes.
    this.#reserve(value.length * 3);
    this.#at += this.#bytes.write(value, this.#at, 'utf8');
    this.end(mark);
  }

  block(field: number, value: Uint8Array): void {
    this.tag(field, BLOCK);
    this.varint(value.length);
    this.raw(value);
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Integers packed into one field, those of a tensor's shape for one. */
  packed(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const mark = this.begin(field);
    for (const value of values) this.integer(value);
    this.end(mark);
  }

  begin(field: number): Mark {
    this.tag(field, BLOCK);
    this.#reserve(1);
    this.#at += 1;
    return this.#at;
  }

  end(mark: Mark): void {
    const length = this.#at - mark;
    let more = 0;
    for (let left = length; left >= 0x80; left = Math.floor(left / 0x80)) more += 1;
    if (more > 0) {
      this.#reserve(more);
      this.#bytes.copyWithin(mark + more, mark, mark + length);
    }
    this.#at = mark - 1;
    this.varint(length);
    this.#at = mark + more + length;
  }

  #reserve(sizeBytes: number): void {
    const needed = this.#at + sizeBytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}
