import { MAX_RANK } from '../../../protocol/limits.ts';

const ZERO = 0x30;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const LOWER_E = 0x65;
const UPPER_E = 0x45;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** Powers of ten, each the double that is nearest. */
const POWERS = Float64Array.from({ length: 61 }, (_, exponent) => Number(`1e${exponent}`));
const LARGEST_POWER = POWERS.length - 1;
/** Up to here a power is exact, and so is an integer of that many digits. */
const EXACT_POWER = 22;
const EXACT_DIGITS = 15;
/** Of numbers read here, so that there is a bound for what is rounded on the way. */
const MAX_DIGITS = 32;
/** Relative, and more than some forty roundings of a double can change a number by: 40 times 2^-53 is 5e-15. */
const SLACK = 1e-14;
/** Bytes of a number and its comma, to guess how many there are; memory grows where there are more. */
const GUESSED_BYTES = 8;

/** An array of numbers in JSON text, and nothing but numbers in it. */
export interface JsonFloats {
  readonly values: Float32Array;
  /** How the brackets nest: one dimension where they do not. */
  readonly shape: readonly number[];
  /** Offset after the closing bracket. */
  readonly end: number;
}

/**
 * The numbers of the array that opens at `start`, each as `Math.fround(Number(text))` gives it, in half the time that
 * `JSON.parse` and a copy need. Null where it holds anything but numbers (and arrays of them, nested evenly), where a
 * number overflows FP32, or where the text is not JSON: whoever calls parses it in the ordinary way then.
 */
export function readJsonFloats(json: Uint8Array, start: number): JsonFloats | null {
  // As far as the first array that closes: what is not read must not be paid for, however long the text is.
  const bytes = json.indexOf(CLOSE_ARRAY, start) - start;
  const reader = new FloatReader(json, Math.max(1, Math.ceil(bytes / GUESSED_BYTES)));
  const nesting = new Nesting();
  let at = start;
  for (;;) {
    at = afterBlanks(json, at);
    if (json[at] === OPEN_ARRAY) {
      if (!nesting.open()) return null;
      at = afterBlanks(json, at + 1);
      if (json[at] !== CLOSE_ARRAY) continue;
    } else {
      const before = reader.count;
      at = reader.run(at);
      if (at === -1 || !nesting.numbers(reader.count - before)) return null;
    }
    while (json[at] === CLOSE_ARRAY) {
      if (!nesting.close()) return null;
      at += 1;
      if (nesting.depth === 0) return { values: reader.values, shape: nesting.shape, end: at };
      at = afterBlanks(json, at);
    }
    if (json[at] !== COMMA) return null;
    at += 1;
  }
}

/** Offset of the next byte that is none of JSON's four blanks. */
function afterBlanks(json: Uint8Array, start: number): number {
  let at = start;
  let byte = json[at];
  while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
    at += 1;
    byte = json[at];
  }
  return at;
}

/** Whether arrays nest as a tensor does: every one at a depth has as many entries, and numbers are at the deepest only. */
class Nesting {
  depth = 0;
  /** Entries of a finished array at each depth; -1 before there is one. */
  readonly shape: number[] = [];
  readonly #entries: number[] = [];
  #numbers = 0;

  open(): boolean {
    if (this.depth === MAX_RANK || (this.#numbers > 0 && this.depth === this.shape.length)) {
      return false;
    }
    if (this.depth > 0) this.#entries[this.depth - 1] += 1;
    if (this.depth === this.shape.length) this.shape.push(-1);
    this.#entries[this.depth] = 0;
    this.depth += 1;
    return true;
  }

  numbers(count: number): boolean {
    if (this.depth === 0 || this.depth !== this.shape.length) return false;
    this.#numbers += count;
    this.#entries[this.depth - 1] += count;
    return true;
  }

  close(): boolean {
    this.depth -= 1;
    const entries = this.#entries[this.depth];
    if (this.shape[this.depth] === -1) this.shape[this.depth] = entries;
    return this.shape[this.depth] === entries;
  }
}

class FloatReader {
  count = 0;
  #values: Float32Array<ArrayBuffer>;
  readonly #json: Uint8Array;
  readonly #view: DataView;
  /** What was read last: digits as an integer, and a number. */
  #whole = 0;
  #number = 0;

  constructor(json: Uint8Array, guess: number) {
    this.#json = json;
    this.#view = new DataView(json.buffer, json.byteOffset, json.byteLength);
    this.#values = new Float32Array(guess);
  }

  get values(): Float32Array {
    return this.#values.subarray(0, this.count);
  }

  /** Reads numbers with commas between them; the offset of what follows them, or of a comma before no number. -1: not JSON, or no FP32. */
  run(start: number): number {
    const json = this.#json;
    let at = start;
    for (;;) {
      at = this.#read(at);
      if (at === -1) return -1;
      if (this.count === this.#values.length) this.#grow();
      this.#values[this.count] = this.#number;
      this.count += 1;
      at = afterBlanks(json, at);
      if (json[at] !== COMMA) return at;
      at = afterBlanks(json, at + 1);
    }
  }

  #grow(): void {
    const larger = new Float32Array(2 * this.#values.length);
    larger.set(this.#values);
    this.#values = larger;
  }

  /**
   * Reads the number at `start` as FP32 and returns the offset after it; -1 where the text is not a number of JSON's grammar, or
   * one that overflows.
   *
   * Up to fifteen digits make an exact integer, and one multiplication or division by an exact power of ten is rounded
   * correctly (W. D. Clinger, How to read floating point numbers accurately, 1990). Where more was rounded, both ends of
   * what the number can be must round to one FP32 value; what is left is read by `Number`.
   */
  #read(start: number): number {
    const json = this.#json;
    const first = json[start] === MINUS ? start + 1 : start;
    this.#whole = 0;
    let at = this.#digits(first);
    let digits = at - first;
    if (digits === 0 || (digits > 1 && json[first] === ZERO)) return -1;
    let scale = 0;
    if (json[at] === POINT) {
      const point = at + 1;
      at = this.#digits(point);
      if (at === point) return -1;
      scale = point - at;
      digits -= scale;
    }
    const whole = this.#whole;
    if (json[at] === LOWER_E || json[at] === UPPER_E) {
      at = this.#exponent(at + 1);
      if (at === -1) return -1;
      scale += this.#whole;
    }
    const power = scale < 0 ? -scale : scale;
    if (power > LARGEST_POWER || digits > MAX_DIGITS) return this.#exact(start, at);
    const size = scale < 0 ? whole / POWERS[power] : whole * POWERS[power];
    const value = Math.fround(size);
    if (digits > EXACT_DIGITS || power > EXACT_POWER) {
      const low = Math.fround(size * (1 - SLACK));
      if (low !== Math.fround(size * (1 + SLACK)) || low === Infinity)
        return this.#exact(start, at);
    }
    this.#number = first === start ? value : -value;
    return at;
  }

  /** Appends the digits from `start` on to those of `#whole`, four at a time where there are four; the offset after them. */
  #digits(start: number): number {
    const json = this.#json;
    const last = json.length - 4;
    let at = start;
    let whole = this.#whole;
    while (at <= last) {
      const four = this.#view.getUint32(at, true);
      // A byte is a digit if its upper half is 3, and still is after 6 is added.
      const upper = (four & 0xf0f0f0f0) ^ 0x30303030;
      if ((upper | (((four + 0x06060606) & 0xf0f0f0f0) ^ 0x30303030)) !== 0) break;
      const ones = four & 0x0f0f0f0f;
      const pairs = (Math.imul(ones, 10) + (ones >>> 8)) & 0x00ff00ff;
      whole = whole * 10_000 + (pairs & 0xff) * 100 + (pairs >>> 16);
      at += 4;
    }
    let digit = json[at] - ZERO;
    while (digit >= 0 && digit <= 9) {
      whole = whole * 10 + digit;
      at += 1;
      digit = json[at] - ZERO;
    }
    this.#whole = whole;
    return at;
  }

  /** An exponent without its letter, into `#whole`; the offset after it, or -1 where it has no digits. */
  #exponent(start: number): number {
    const sign = this.#json[start];
    const first = sign === MINUS || sign === PLUS ? start + 1 : start;
    this.#whole = 0;
    const end = this.#digits(first);
    if (end === first) return -1;
    if (sign === MINUS) this.#whole = -this.#whole;
    return end;
  }

  #exact(start: number, end: number): number {
    let text = '';
    for (let at = start; at < end; at += 1) text += String.fromCharCode(this.#json[at]);
    this.#number = Math.fround(Number(text));
    return Number.isFinite(this.#number) ? end : -1;
  }
}
