import { seeded } from './synthetic-windows.ts';

/**
 * The generators of the Harvard / López Lobo concept-drift streams, seeded, and the learner that is watched on them: four
 * concepts one after the other, changing at once or, gradually, with a growing share of rows of the new one.
 */
export const families = ['sine', 'mixed', 'stagger', 'rt', 'sea'] as const;
export type Family = (typeof families)[number];

/** Rows of one concept; a stream has four. */
export const CONCEPT_ROWS = 5000;
export const CONCEPTS = 4;
/** Rows in which a gradual drift is under way. */
export const GRADUAL_ROWS = 1000;

export interface LabelledRow {
  readonly x: readonly number[];
  readonly y: 0 | 1;
}

type Concept = (x: readonly number[], concept: number) => boolean;

export function* conceptStream(family: Family, seed: number, gradual: boolean) {
  const random = seeded(seed);
  const { draw, concept, noise } = familyOf(family, random);
  for (let row = 0; row < CONCEPTS * CONCEPT_ROWS; row += 1) {
    const latest = Math.floor(row / CONCEPT_ROWS);
    const into = (row % CONCEPT_ROWS) / GRADUAL_ROWS;
    const old = gradual && latest > 0 && random() > into;
    const x = draw();
    const truth = concept(x, old ? latest - 1 : latest);
    yield { x, y: Number(random() < noise ? !truth : truth) as 0 | 1 } satisfies LabelledRow;
  }
}

function familyOf(family: Family, random: () => number) {
  const uniforms = (count: number, scale = 1) =>
    Array.from({ length: count }, () => scale * random());
  const wave = (x: number) => 0.5 + 0.3 * Math.sin(3 * Math.PI * x);
  switch (family) {
    // Gama et al. 2004: below the sine, above it, below a wave, above it.
    case 'sine':
      return made(
        () => uniforms(2),
        ([x, y], at) => (at < 2 ? y < Math.sin(x) : y < wave(x)) === (at % 2 === 0),
      );
    case 'mixed':
      return made(
        () => [Number(random() < 0.5), Number(random() < 0.5), ...uniforms(2)],
        ([v, w, x, y], at) => v + w + Number(y < wave(x)) >= 2 === (at % 2 === 0),
      );
    // Schlimmer and Granger 1986: size, colour, shape, each one of three, one-hot.
    case 'stagger': {
      const rules: readonly Concept[] = [
        ([small, , , red]) => small === 1 && red === 1,
        ([, , , , green, , circle]) => green === 1 || circle === 1,
        ([small]) => small === 0,
        ([small, , , red]) => small === 1 && red === 1,
      ];
      const one = () =>
        [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ][Math.floor(3 * random())];
      return made(
        () => [...one(), ...one(), ...one()],
        (x, at) => rules[at](x, at),
      );
    }
    case 'rt': {
      const trees = Array.from({ length: CONCEPTS }, () => randomTree(random, 4));
      return made(
        () => uniforms(4),
        (x, at) => trees[at](x),
      );
    }
    // Street and Kim 2001, one label in five turned around.
    case 'sea': {
      const limits = [8, 9, 7, 9.5];
      return made(
        () => uniforms(3, 10),
        ([a, b], at) => a + b <= limits[at],
        0.2,
      );
    }
  }
}

function made(draw: () => number[], concept: Concept, noise = 0) {
  return { draw, concept, noise };
}

function randomTree(random: () => number, depth: number): (x: readonly number[]) => boolean {
  if (depth === 0) {
    const leaf = random() < 0.5;
    return () => leaf;
  }
  const [at, cut] = [Math.floor(4 * random()), 0.25 + 0.5 * random()];
  const [low, high] = [randomTree(random, depth - 1), randomTree(random, depth - 1)];
  return (x) => (x[at] < cut ? low(x) : high(x));
}

/** Gaussian naive Bayes that learns row by row, as the published figures have it. Mutable. */
export class GaussianBayes {
  readonly #classes = [new ClassMoments(), new ClassMoments()];

  predict(x: readonly number[]): 0 | 1 {
    const [zero, one] = this.#classes.map((each) => each.logDensity(x));
    return one > zero ? 1 : 0;
  }

  learn({ x, y }: LabelledRow): void {
    this.#classes[y].add(x);
  }
}

class ClassMoments {
  #rows = 0;
  readonly #means: number[] = [];
  readonly #scatter: number[] = [];

  add(x: readonly number[]): void {
    this.#rows += 1;
    for (const [k, value] of x.entries()) {
      const delta = value - (this.#means[k] ?? 0);
      this.#means[k] = (this.#means[k] ?? 0) + delta / this.#rows;
      this.#scatter[k] = (this.#scatter[k] ?? 0) + delta * (value - this.#means[k]);
    }
  }

  logDensity(x: readonly number[]): number {
    if (this.#rows < 2) return Math.log(this.#rows + 1e-9) - 1e6;
    let sum = Math.log(this.#rows);
    for (const [k, value] of x.entries()) {
      const variance = this.#scatter[k] / this.#rows + 1e-3;
      sum -= (Math.log(variance) + (value - this.#means[k]) ** 2 / variance) / 2;
    }
    return sum;
  }
}
