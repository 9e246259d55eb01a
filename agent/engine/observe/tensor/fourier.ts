import { FOURIER_UNIT } from '../../../../protocol/sketch/tensor-sketch.ts';
import { uniformFrom } from './uniform.ts';

/**
 * Angles of one turn that are told apart: half a step is 1.6 units of the feature. A finer table would not stay in a
 * core's own cache between requests.
 */
const TURN = 2048;
const QUARTER = TURN / 4;
const COSINES = Int16Array.from({ length: TURN }, (_, at) =>
  Math.round(FOURIER_UNIT * Math.cos((2 * Math.PI * at) / TURN)),
);

/** Random signs and a Hadamard transform, three times: as good as a random rotation. */
const ROUNDS = 3;

/**
 * Random Fourier features of a Gaussian kernel by structured orthogonal directions (Yu et al. 2016, "Orthogonal
 * Random Features", SORF): W = (√n / σ) · (H D₁)(H D₂)(H D₃) with H the orthonormal Hadamard matrix and D random signs.
 * Costs 3 n log₂ n additions a row where a dense matrix would cost n · features products, and needs a seed in place
 * of a matrix. Works in arrays of its own: a row allocates nothing.
 */
export class FourierFeatures {
  readonly #size: number;
  readonly #blocks: readonly Float64Array[];
  readonly #frequencies: number;
  readonly #perTurn: number;
  readonly #work: Float64Array;

  /** @param features even: a cosine and a sine for each direction; `bandwidth` is the kernel's σ */
  constructor(width: number, features: number, seed: number, bandwidth: number) {
    this.#size = 2 ** Math.ceil(Math.log2(Math.max(2, width)));
    this.#frequencies = features / 2;
    this.#work = new Float64Array(this.#size);
    const uniform = uniformFrom(seed);
    const blocks = Math.ceil(this.#frequencies / this.#size);
    this.#blocks = Array.from({ length: blocks * ROUNDS }, () =>
      Float64Array.from({ length: this.#size }, () => (uniform() < 0.5 ? -1 : 1)),
    );
    // Each orthonormal H is the plain one over √n: what is left of √n · n^(-3/2) is 1 / n.
    this.#perTurn = TURN / (2 * Math.PI * bandwidth * this.#size);
  }

  /** Adds round(FOURIER_UNIT · φ) of one finite row: cosines into the first half of `sums`, sines into the second. */
  add(row: Float64Array, sums: Float64Array): void {
    const work = this.#work;
    for (let from = 0, block = 0; from < this.#frequencies; from += this.#size, block += ROUNDS) {
      work.fill(0);
      work.set(row);
      for (let round = 0; round < ROUNDS; round += 1) {
        flip(work, this.#blocks[block + round]);
        hadamard(work);
      }
      const until = Math.min(this.#size, this.#frequencies - from);
      for (let k = 0; k < until; k += 1) {
        // `&` takes the remainder of a turn, for negative angles too.
        const at = Math.round(work[k] * this.#perTurn) & (TURN - 1);
        sums[from + k] += COSINES[at];
        sums[this.#frequencies + from + k] += COSINES[(at - QUARTER) & (TURN - 1)];
      }
    }
  }
}

function flip(values: Float64Array, signs: Float64Array): void {
  for (let k = 0; k < values.length; k += 1) values[k] *= signs[k];
}

/**
 * Walsh–Hadamard transform in place, not normalised; the length is a power of two. Two steps at a time: half the
 * passes over the values, and no inner loop of one or two turns.
 */
export function hadamard(values: Float64Array): void {
  const size = values.length;
  let half = 1;
  for (; half * 4 <= size; half *= 4) {
    for (let from = 0; from < size; from += 4 * half) {
      for (let k = from; k < from + half; k += 1) {
        const a = values[k];
        const b = values[k + half];
        const c = values[k + 2 * half];
        const d = values[k + 3 * half];
        const ab = a + b;
        const cd = c + d;
        const amb = a - b;
        const cmd = c - d;
        values[k] = ab + cd;
        values[k + half] = amb + cmd;
        values[k + 2 * half] = ab - cd;
        values[k + 3 * half] = amb - cmd;
      }
    }
  }
  if (half === size) return;
  for (let k = 0; k < half; k += 1) {
    const a = values[k];
    const b = values[k + half];
    values[k] = a + b;
    values[k + half] = a - b;
  }
}
