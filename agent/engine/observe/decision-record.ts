/**
 * What is remembered of one answered row until its label comes. Little-endian:
 *
 *     row         f64   the number at the end of its decision id, plus its place in the request
 *     prediction  f64   as `OutcomeCells` counts it
 *     caller      f64   53-bit hash of the caller's own id; 0: none was given
 *     index       u32   its place in the request
 *     positive    u8
 *     levels      u8 × group attributes
 */
export const DECISION_BYTES = 29;

const ROW = 0;
const PREDICTION = 8;
const CALLER = 16;
const INDEX = 24;
const POSITIVE = 28;

/** Room at first: a second of a host with little to do. */
const FIRST_ROWS = 64;

/** Collects records; what it has is taken away as a whole. */
export class DecisionBuffer {
  readonly #recordBytes: number;
  #buffer: Buffer;
  #size = 0;

  /** `axes`: group attributes. */
  constructor(axes: number) {
    this.#recordBytes = DECISION_BYTES + axes;
    this.#buffer = Buffer.alloc(FIRST_ROWS * this.#recordBytes);
  }

  get rows(): number {
    return this.#size / this.#recordBytes;
  }

  add(
    row: number,
    index: number,
    caller: number,
    prediction: number,
    positive: boolean,
    levels: Uint8Array,
  ): void {
    const at = this.#size;
    const end = at + this.#recordBytes;
    if (end > this.#buffer.length) this.#grow();
    const buffer = this.#buffer;
    buffer.writeDoubleLE(row, at + ROW);
    buffer.writeDoubleLE(prediction, at + PREDICTION);
    buffer.writeDoubleLE(caller, at + CALLER);
    buffer.writeUInt32LE(index, at + INDEX);
    buffer[at + POSITIVE] = positive ? 1 : 0;
    for (let axis = 0; axis < levels.length; axis += 1) {
      buffer[at + DECISION_BYTES + axis] = levels[axis];
    }
    this.#size = end;
  }

  #grow(): void {
    const larger = Buffer.alloc(this.#buffer.length * 2);
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
  }

  /** Everything since the last time; null for nothing. */
  take(): Uint8Array | null {
    if (this.#size === 0) return null;
    const records = Uint8Array.from(this.#buffer.subarray(0, this.#size));
    this.#size = 0;
    return records;
  }
}

/** Records side by side, as a decision block holds them. */
export class DecisionRecords {
  readonly #bytes: Buffer;
  readonly #recordBytes: number;
  readonly rows: number;

  constructor(bytes: Buffer, axes: number) {
    this.#bytes = bytes;
    this.#recordBytes = DECISION_BYTES + axes;
    this.rows = Math.floor(bytes.length / this.#recordBytes);
  }

  row(at: number): number {
    return this.#bytes.readDoubleLE(at * this.#recordBytes + ROW);
  }

  prediction(at: number): number {
    return this.#bytes.readDoubleLE(at * this.#recordBytes + PREDICTION);
  }

  /** 0: the caller gave no id. */
  caller(at: number): number {
    return this.#bytes.readDoubleLE(at * this.#recordBytes + CALLER);
  }

  /** Place in the request. */
  index(at: number): number {
    return this.#bytes.readUInt32LE(at * this.#recordBytes + INDEX);
  }

  positive(at: number): boolean {
    return this.#bytes[at * this.#recordBytes + POSITIVE] === 1;
  }

  levels(at: number): Uint8Array {
    const from = at * this.#recordBytes + DECISION_BYTES;
    return this.#bytes.subarray(from, (at + 1) * this.#recordBytes);
  }

  /** Where the record of this row lies, rows being in ascending order; -1: nowhere. */
  find(row: number): number {
    let [low, high] = [0, this.rows - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.row(middle);
      if (found === row) return middle;
      if (found < row) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

/**
 * A caller's id as 53 bits, never 0. Two multiplicative hashes over UTF-16 code units, mixed (the finaliser of
 * MurmurHash3): of a million ids, two share a hash in one case of twenty thousand.
 */
export function hashCaller(id: string): number {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let at = 0; at < id.length; at += 1) {
    const code = id.charCodeAt(at);
    high = Math.imul(high ^ code, 0x9e3779b1);
    low = Math.imul(low ^ code, 0x5f356495);
  }
  high = mix(high ^ (low >>> 13));
  low = mix(low ^ (high >>> 13));
  const hash = (high & 0x1fffff) * 2 ** 32 + (low >>> 0);
  return hash === 0 ? 1 : hash;
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
