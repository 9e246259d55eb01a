import { SketchError } from '../../sketch/error.ts';
import { equalSamplesLogP } from '../ks-exact.ts';
import { requireFinite } from './finite.ts';
import { PythonRandom } from './python-random.ts';

export interface KswinSettings {
  /** p-value at which it is drift; 0.005. */
  readonly alpha?: number;
  /** Values that are kept; 100. */
  readonly windowSize?: number;
  /** The newest of them, and as many drawn from the others; 30. */
  readonly statSize?: number;
  /** Of the draws; 0. */
  readonly seed?: number;
}

/** A gap that small is never drift, whatever its p-value. */
const MIN_GAP = 0.1;

/**
 * KSWIN: the newest values of a sliding window against as many drawn from the older ones, by the two-sample
 * Kolmogorov–Smirnov test (Raab, Heusinger and Schleif 2020, "Reactive soft prototype computing"). Two-sided. Each value
 * is a test of its own, so false alarms grow with the stream; of 0 and 1 the test is conservative. Equals river 0.26 of
 * the same seed, which draws in Python.
 */
export class Kswin {
  readonly #logAlpha: number;
  readonly #size: number;
  readonly #newest: number;
  readonly #seed: number;
  #window: number[] = [];
  #random: PythonRandom;
  #drifted = false;

  constructor(settings: KswinSettings = {}) {
    const { alpha = 0.005, windowSize = 100, statSize = 30, seed = 0 } = settings;
    if (2 * statSize > windowSize) {
      throw new SketchError(
        'value',
        `statSize ${statSize}: at most half of windowSize ${windowSize}, to draw as many older values`,
      );
    }
    this.#logAlpha = Math.log(alpha);
    this.#size = windowSize;
    this.#newest = statSize;
    this.#seed = seed;
    this.#random = new PythonRandom(seed);
  }

  /** @throws SketchError `value` unless x is finite */
  update(x: number): 'none' | 'drift' {
    requireFinite(x);
    if (this.#drifted) {
      this.#window = [];
      this.#random = new PythonRandom(this.#seed);
      this.#drifted = false;
    }
    this.#window.push(x);
    if (this.#window.length > this.#size) this.#window.shift();
    if (this.#window.length < this.#size) return 'none';
    const older = this.#size - this.#newest;
    const drawn = Float64Array.from(
      this.#random.sample(older, this.#newest),
      (at) => this.#window[at],
    );
    const newest = Float64Array.from(this.#window.slice(older));
    const steps = largestStep(drawn.sort(), newest.sort());
    if (steps / this.#newest <= MIN_GAP) return 'none';
    if (equalSamplesLogP(this.#newest, steps) > this.#logAlpha) return 'none';
    this.#drifted = true;
    return 'drift';
  }
}

/** Largest difference of how many values of two sorted lists lie at or below any value. */
function largestStep(a: Float64Array, b: Float64Array): number {
  let [i, j, largest] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i], b[j]);
    while (i < a.length && a[i] === value) i += 1;
    while (j < b.length && b[j] === value) j += 1;
    largest = Math.max(largest, Math.abs(i - j));
  }
  return largest;
}
