import type { Slot, Step } from './step.ts';

/** Outputs that are computed together: eight independent sums hide the latency of an addition. */
const LANES = 8;

/** The weights of one layer: `weight(k, j)` takes input k to output j. */
export interface Dense {
  readonly weight: (input: number, output: number) => number;
  readonly bias: (output: number) => number;
  /** Relu right behind it, which saves a pass. */
  readonly relu: boolean;
}

/**
 * y = x W + b. Sums are kept in float64 and rounded once: nearer to the true value than any float32 order,
 * so the distance to ONNX Runtime is the rounding of ONNX Runtime alone.
 */
export class DenseStep implements Step {
  readonly #from: Slot;
  readonly #to: Slot;
  /** In the order of use: for each block of eight outputs, for each input, eight weights. */
  readonly #weights: Float64Array;
  readonly #bias: Float64Array;
  readonly #relu: boolean;

  constructor(from: Slot, to: Slot, dense: Dense) {
    this.#from = from;
    this.#to = to;
    this.#relu = dense.relu;
    const blocks = Math.ceil(to.width / LANES);
    this.#weights = new Float64Array(blocks * LANES * from.width);
    this.#bias = new Float64Array(blocks * LANES);
    for (let output = 0; output < to.width; output += 1) {
      const block = Math.floor(output / LANES) * LANES * from.width + (output % LANES);
      this.#bias[output] = dense.bias(output);
      for (let input = 0; input < from.width; input += 1) {
        this.#weights[block + input * LANES] = dense.weight(input, output);
      }
    }
  }

  run(registers: Float64Array): void {
    const weights = this.#weights;
    const bias = this.#bias;
    const first = this.#from.at;
    const end = first + this.#from.width;
    const to = this.#to.at;
    let w = 0;
    for (let j = 0; j < bias.length; j += LANES) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      let e = 0;
      let f = 0;
      let g = 0;
      let h = 0;
      for (let k = first; k < end; k += 1) {
        const x = registers[k];
        a += x * weights[w];
        b += x * weights[w + 1];
        c += x * weights[w + 2];
        d += x * weights[w + 3];
        e += x * weights[w + 4];
        f += x * weights[w + 5];
        g += x * weights[w + 6];
        h += x * weights[w + 7];
        w += LANES;
      }
      const at = to + j;
      registers[at] = a + bias[j];
      registers[at + 1] = b + bias[j + 1];
      registers[at + 2] = c + bias[j + 2];
      registers[at + 3] = d + bias[j + 3];
      registers[at + 4] = e + bias[j + 4];
      registers[at + 5] = f + bias[j + 5];
      registers[at + 6] = g + bias[j + 6];
      registers[at + 7] = h + bias[j + 7];
    }
    this.#round(registers);
  }

  #round(registers: Float64Array): void {
    const end = this.#to.at + this.#bias.length;
    const relu = this.#relu;
    for (let i = this.#to.at; i < end; i += 1) {
      const value = Math.fround(registers[i]);
      // `< 0`, not Math.max: a NaN passes, as it does in ONNX Runtime.
      registers[i] = relu && value < 0 ? 0 : value;
    }
  }
}
