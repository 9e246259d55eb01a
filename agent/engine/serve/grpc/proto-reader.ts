import { isUtf8 } from 'node:buffer';
import { OipError } from '../oip-error.ts';

/** Wire types of protocol buffers (protobuf.dev/programming-guides/encoding). */
export const VARINT = 0;
export const FIXED64 = 1;
export const BLOCK = 2;
const GROUP_START = 3;
const GROUP_END = 4;
export const FIXED32 = 5;

/** Groups are gone from proto3, but a field that is not known may still be one; none that is meant nests so deep. */
const MAX_GROUP_DEPTH = 32;

/**
 * Fields of one message, those that are not known among them: a request has at most some hundreds. An empty field takes
 * two bytes, so that without a bound one message could hold a thread for seconds.
 */
export const MAX_FIELDS = 4096;

/**
 * A cursor over one protobuf message. Blocks are views of the message's own bytes, never copies. Whatever does not
 * follow the wire format is an `OipError` 'bad_request' that names the message and the place.
 */
export class ProtoReader {
  readonly bytes: Buffer;
  readonly what: string;
  readonly #maxFields: number;
  at = 0;
  #fields = 0;
  /** Low and high half of the varint read last. */
  low = 0;
  high = 0;

  constructor(bytes: Buffer, what: string, maxFields = MAX_FIELDS) {
    this.bytes = bytes;
    this.what = what;
    this.#maxFields = maxFields;
  }

  /** The next field's tag, its number times 8 and its wire type; 0 at the end of the message. */
  tag(): number {
    if (this.at === this.bytes.length) return 0;
    this.varint();
    const tag = this.low >>> 0;
    // Field numbers have 29 bits and begin at 1.
    if (this.high !== 0 || tag < 8) throw this.broken('a field number out of range');
    this.#fields += 1;
    if (this.#fields > this.#maxFields) throw this.broken(`more than ${this.#maxFields} fields`);
    return tag;
  }

  /** Passes over a tag of one byte if it is the next one; elements that are not packed are bounded by their shape. */
  passes(tag: number): boolean {
    if (this.bytes[this.at] !== tag) return false;
    this.at += 1;
    return true;
  }

  /** Reads a varint into `low` and `high`; the value is that of its lowest 32 bits, signed, as int32 wants it. */
  varint(): number {
    const { bytes } = this;
    let at = this.at;
    let byte = bytes[at];
    if (byte < 0x80) {
      this.at = at + 1;
      this.low = byte;
      this.high = 0;
      return byte;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      byte = bytes[at];
      if (byte === undefined) throw this.broken('a varint is cut off');
      at += 1;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= part << (shift - 32);
      if (byte < 0x80) {
        this.at = at;
        this.low = low;
        this.high = high;
        return low;
      }
    }
    throw this.broken('a varint has more than 10 bytes');
  }

  /** An int64 as a number; rounded beyond 2^53, where its meaning here ends anyway. */
  int64(): number {
    this.varint();
    return this.high * 2 ** 32 + (this.low >>> 0);
  }

  bigInt64(): bigint {
    this.varint();
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }

  bool(): boolean {
    this.varint();
    return this.low !== 0 || this.high !== 0;
  }

  double(): number {
    return this.bytes.readDoubleLE(this.fixed(8));
  }

  /** The bytes of a length-delimited field, where they lie. */
  block(): Buffer {
    this.varint();
    const length = this.low >>> 0;
    const start = this.at;
    if (this.high !== 0 || length > this.bytes.length - start) {
      throw this.broken('a field reaches past the end');
    }
    this.at = start + length;
    return this.bytes.subarray(start, this.at);
  }

  text(): string {
    const block = this.block();
    // Most names are short and ASCII; toString would make U+FFFD of what is not UTF-8.
    if (!isUtf8(block)) throw this.broken('a string is not UTF-8');
    return block.toString('utf8');
  }

  /** Offset of a value of fixed size, which is then behind the cursor. */
  fixed(sizeBytes: number): number {
    const { at } = this;
    if (sizeBytes > this.bytes.length - at) throw this.broken('a number is cut off');
    this.at = at + sizeBytes;
    return at;
  }

  /** Passes over a field that is not known. */
  skip(tag: number): void {
    const groups: number[] = [];
    let field = tag;
    do {
      const wire = field & 7;
      if (wire === VARINT) this.varint();
      else if (wire === FIXED64) this.fixed(8);
      else if (wire === BLOCK) this.block();
      else if (wire === FIXED32) this.fixed(4);
      else if (wire === GROUP_START) {
        if (groups.length === MAX_GROUP_DEPTH) throw this.broken('groups are nested too deep');
        groups.push(field >>> 3);
      } else if (wire !== GROUP_END || groups.pop() !== field >>> 3) {
        throw this.broken(`wire type ${wire} is none, or ends no group`);
      }
      if (groups.length > 0) {
        field = this.tag();
        if (field === 0) throw this.broken('a group is cut off');
      }
    } while (groups.length > 0);
  }

  broken(problem: string): OipError {
    return new OipError(
      'bad_request',
      `the message is not a valid ${this.what}: ${problem} at byte ${this.at} of ${this.bytes.length}`,
    );
  }
}
