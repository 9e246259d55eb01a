/** Words of state, offset and constants of MT19937. */
const [WORDS, MIDDLE] = [624, 397];
const [UPPER, LOWER, TWIST] = [0x80000000, 0x7fffffff, 0x9908b0df];

/**
 * The numbers that Python's `random.Random(seed)` draws: Mersenne Twister 19937 (Matsumoto and Nishimura 1998), seeded
 * by its `init_by_array` with the one word of `seed`, and Python's own sampling without replacement on top. Only so can
 * KSWIN, which draws, be held against reference values.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(WORDS);
  #at = WORDS;

  /** @param seed a whole number, 0 to 2^32 − 1 */
  constructor(seed: number) {
    const state = this.#state;
    state[0] = 19650218;
    for (let k = 1; k < WORDS; k += 1) {
      state[k] = Math.imul(1812433253, state[k - 1] ^ (state[k - 1] >>> 30)) + k;
    }
    let k = 1;
    for (let left = WORDS; left > 0; left -= 1) {
      state[k] = (state[k] ^ Math.imul(state[k - 1] ^ (state[k - 1] >>> 30), 1664525)) + seed;
      k = this.#after(k);
    }
    for (let left = WORDS - 1; left > 0; left -= 1) {
      state[k] = (state[k] ^ Math.imul(state[k - 1] ^ (state[k - 1] >>> 30), 1566083941)) - k;
      k = this.#after(k);
    }
    state[0] = UPPER;
  }

  /** `count` different whole numbers below `size`, as `Random.sample(range(size), count)` orders them. */
  sample(size: number, count: number): Uint32Array {
    const drawn = new Uint32Array(count);
    const pool = Uint32Array.from({ length: size }, (_, k) => k);
    const copies = size <= poolLimit(count);
    const taken = new Set<number>();
    for (let k = 0; k < count; k += 1) {
      let at = this.#below(copies ? size - k : size);
      while (taken.has(at)) at = this.#below(size);
      drawn[k] = pool[at];
      if (copies) pool[at] = pool[size - k - 1];
      else taken.add(at);
    }
    return drawn;
  }

  #after(k: number): number {
    if (k + 1 < WORDS) return k + 1;
    this.#state[0] = this.#state[WORDS - 1];
    return 1;
  }

  /** Uniform below `size` by throwing away what is too large. */
  #below(size: number): number {
    const shift = Math.clz32(size);
    let value = this.#next() >>> shift;
    while (value >= size) value = this.#next() >>> shift;
    return value;
  }

  #next(): number {
    if (this.#at === WORDS) this.#twist();
    let word = this.#state[this.#at];
    this.#at += 1;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let k = 0; k < WORDS; k += 1) {
      const mixed = (state[k] & UPPER) | (state[(k + 1) % WORDS] & LOWER);
      state[k] = state[(k + MIDDLE) % WORDS] ^ (mixed >>> 1) ^ (mixed & 1 ? TWIST : 0);
    }
    this.#at = 0;
  }
}

/** Up to here Python draws from a copy of the population, beyond it draws again what it had. */
function poolLimit(count: number): number {
  return count > 5 ? 21 + 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 21;
}
