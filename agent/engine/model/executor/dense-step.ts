import type { Slot, Step } from './step.ts';

/** Outputs that are computed together: four independent sums hide the latency of one addition. */
const LANES = 4;

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
  /** In the order of use: for each block of four outputs, for each input, four weights. */
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
    const relu = this.#relu;
    let w = 0;
    for (let j = 0; j < bias.length; j += LANES) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let k = first; k < end; k += 1) {
        const x = registers[k];
        a += x * weights[w];
        b += x * weights[w + 1];
        c += x * weights[w + 2];
        d += x * weights[w + 3];
        w += LANES;
      }
      a = Math.fround(a + bias[j]);
      b = Math.fround(b + bias[j + 1]);
      c = Math.fround(c + bias[j + 2]);
      d = Math.fround(d + bias[j + 3]);
      // `< 0`, not Math.max: a NaN passes, as it does in ONNX Runtime.
      registers[to + j] = relu && a < 0 ? 0 : a;
      registers[to + j + 1] = relu && b < 0 ? 0 : b;
      registers[to + j + 2] = relu && c < 0 ? 0 : c;
      registers[to + j + 3] = relu && d < 0 ? 0 : d;
    }
  }
}
