import type { Slot, Step } from './step.ts';

/** Applies a function of one number to each element; results are rounded to float32. */
export class MapStep implements Step {
  readonly #from: Slot;
  readonly #to: Slot;
  readonly #apply: (value: number) => number;

  constructor(from: Slot, to: Slot, apply: (value: number) => number) {
    this.#from = from;
    this.#to = to;
    this.#apply = apply;
  }

  run(registers: Float64Array): void {
    const apply = this.#apply;
    for (let i = 0; i < this.#from.width; i += 1) {
      registers[this.#to.at + i] = Math.fround(apply(registers[this.#from.at + i]));
    }
  }
}

/** Combines each element with a constant of the same place, the element on the left. */
export class ConstantStep implements Step {
  readonly #from: Slot;
  readonly #to: Slot;
  readonly #constants: Float64Array;
  readonly #apply: (value: number, constant: number) => number;

  constructor(
    from: Slot,
    to: Slot,
    constants: Float64Array,
    apply: (value: number, constant: number) => number,
  ) {
    this.#from = from;
    this.#to = to;
    this.#constants = constants;
    this.#apply = apply;
  }

  run(registers: Float64Array): void {
    const apply = this.#apply;
    const constants = this.#constants;
    for (let i = 0; i < constants.length; i += 1) {
      registers[this.#to.at + i] = Math.fround(apply(registers[this.#from.at + i], constants[i]));
    }
  }
}

/** Copies values behind one another. */
export class ConcatStep implements Step {
  readonly #from: readonly Slot[];
  readonly #to: Slot;

  constructor(from: readonly Slot[], to: Slot) {
    this.#from = from;
    this.#to = to;
  }

  run(registers: Float64Array): void {
    let to = this.#to.at;
    for (const { at, width } of this.#from) {
      registers.copyWithin(to, at, at + width);
      to += width;
    }
  }
}

/** exp(x - max) over their sum, in float32 steps. */
export class SoftmaxStep implements Step {
  readonly #from: Slot;
  readonly #to: Slot;

  constructor(from: Slot, to: Slot) {
    this.#from = from;
    this.#to = to;
  }

  run(registers: Float64Array): void {
    const { at, width } = this.#from;
    const to = this.#to.at;
    let max = -Infinity;
    for (let i = 0; i < width; i += 1) if (registers[at + i] > max) max = registers[at + i];
    let sum = 0;
    for (let i = 0; i < width; i += 1) {
      const part = Math.exp(registers[at + i] - max);
      registers[to + i] = part;
      sum += part;
    }
    for (let i = 0; i < width; i += 1) registers[to + i] = Math.fround(registers[to + i] / sum);
  }
}

export type Norm = 'MAX' | 'L1' | 'L2';

/** ai.onnx.ml Normalizer as ONNX Runtime has it: a row whose norm is 0 stays as it is. */
export class NormalizerStep implements Step {
  readonly #from: Slot;
  readonly #to: Slot;
  readonly #norm: Norm;

  constructor(from: Slot, to: Slot, norm: Norm) {
    this.#from = from;
    this.#to = to;
    this.#norm = norm;
  }

  run(registers: Float64Array): void {
    const { at, width } = this.#from;
    let norm = this.#norm === 'MAX' ? -Infinity : 0;
    for (let i = at; i < at + width; i += 1) {
      const value = registers[i];
      if (this.#norm === 'MAX') norm = Math.max(norm, value);
      else
        norm = Math.fround(norm + Math.fround(this.#norm === 'L1' ? Math.abs(value) : value ** 2));
    }
    if (this.#norm === 'L2') norm = Math.sqrt(norm);
    const divisor = norm === 0 ? 1 : norm;
    for (let i = 0; i < width; i += 1) {
      registers[this.#to.at + i] = Math.fround(registers[at + i] / divisor);
    }
  }
}

/** Rounds to float32: a wider input that is cast. */
export function roundToFloat(value: number): number {
  return value;
}

export function relu(value: number): number {
  return Math.max(value, 0);
}

export function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
