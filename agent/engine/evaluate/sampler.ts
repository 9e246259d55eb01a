import { uniformFrom } from '../observe/tensor/uniform.ts';

/**
 * Draws a share of a stream, each element with the same chance and independent of the others. Draws how many to pass
 * over in place of a coin for each, so that what is not drawn costs a subtraction. The same seed draws the same ones.
 */
export class Sampler {
  readonly #uniform: () => number;
  /** ln(1 − share): −Infinity draws all, 0 none. */
  readonly #logRest: number;
  #passOver: number;

  /** @param share in [0, 1] */
  constructor(share: number, seed: number) {
    this.#uniform = uniformFrom(seed);
    this.#logRest = Math.log1p(-share);
    this.#passOver = this.#draw();
  }

  /** Of the next `count` elements, the position of the first drawn one from `from` on; -1 when none is. */
  next(from: number, count: number): number {
    const left = count - from;
    if (this.#passOver >= left) {
      this.#passOver -= left;
      return -1;
    }
    const at = from + this.#passOver;
    this.#passOver = this.#draw();
    return at;
  }

  /** Geometric: P(k) = share · (1 − share)^k. */
  #draw(): number {
    if (this.#logRest === 0) return Infinity;
    return Math.floor(Math.log(1 - this.#uniform()) / this.#logRest);
  }
}

/** FNV-1a over UTF-16 units: the same text gives the same seed everywhere. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
