/** Bits of one segment's filter, and how many of them an id sets: 26,000 ids are mistaken for others in 1 of 3,400 cases. */
const BITS = 2 ** 19;
const HASHES = 6;

/** Which callers' ids a segment may hold (Bloom 1970): never says no to one that it does. */
export class CallerFilter {
  readonly #bits = new Uint8Array(BITS / 8);

  /** `hash`: 53 bits, of `hashCaller`. */
  add(hash: number): void {
    const [start, step] = split(hash);
    for (let k = 0; k < HASHES; k += 1) {
      const bit = (start + k * step) % BITS;
      this.#bits[bit >>> 3] |= 1 << (bit & 7);
    }
  }

  mayHave(hash: number): boolean {
    const [start, step] = split(hash);
    for (let k = 0; k < HASHES; k += 1) {
      const bit = (start + k * step) % BITS;
      if ((this.#bits[bit >>> 3] & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }
}

/** Double hashing (Kirsch and Mitzenmacher 2006); an odd step visits every bit. */
function split(hash: number): [start: number, step: number] {
  return [hash % BITS, (Math.floor(hash / BITS) % BITS) | 1];
}
