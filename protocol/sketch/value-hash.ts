/**
 * 32-bit hashes of values with too many categories for a dictionary: user, device or product ids. Only hashes leave
 * the host. MurmurHash3 x86_32 (Appleby 2011), over the UTF-16 code units of a text as two bytes each, or over the
 * eight bytes of a float64. A text and a number get different seeds: a number never equals its text.
 */
const TEXT_SEED = 0;
const NUMBER_SEED = 0x9747b28c;
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

const float64 = new Float64Array(1);
const words = new Uint32Array(float64.buffer);

/** NaN hashes like every other NaN and -0 like 0. A bigint past 2^53 is hashed whole. */
export function hashValue(value: string | number | bigint): number {
  if (typeof value === 'string') return hashText(value);
  if (typeof value === 'number') return hashNumber(value);
  const number = Number(value);
  if (Number.isSafeInteger(number)) return hashNumber(number);
  const low = Number(BigInt.asUintN(32, value));
  return hashWords(low, Number(BigInt.asUintN(32, value >> 32n)), NUMBER_SEED);
}

export function hashText(text: string): number {
  const { length } = text;
  let hash = TEXT_SEED;
  let at = 0;
  for (; at + 1 < length; at += 2) {
    hash = mixIn(hash, text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
  }
  if (at < length) hash ^= scramble(text.charCodeAt(at));
  return finish(hash, 2 * length);
}

/** Does not allocate. */
export function hashNumber(value: number): number {
  // + 0 makes 0 of -0; every NaN has the bits of one.
  float64[0] = Number.isNaN(value) ? Number.NaN : value + 0;
  return hashWords(words[0], words[1], NUMBER_SEED);
}

function hashWords(low: number, high: number, seed: number): number {
  return finish(mixIn(mixIn(seed, low), high), 8);
}

function mixIn(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, C1);
  return Math.imul((k << 15) | (k >>> 17), C2);
}

function finish(hash: number, bytes: number): number {
  let h = hash ^ bytes;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
