import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import { MAX_MAGNITUDE } from '../../../protocol/sketch/moments.ts';
import type { TensorSketch } from '../../../protocol/sketch/tensor-sketch.ts';
import type { WatchedTensor } from '../../../protocol/tensor-profile.ts';
import type { Tensor } from '../model/runtime.ts';
import { FourierFeatures } from './tensor/fourier.ts';
import { ImageReader } from './tensor/image-reader.ts';
import { Projection } from './tensor/projection.ts';
import { type NumberData, numbersOf, type RowReader, VectorReader } from './tensor/row-reader.ts';

/** What of an answered request is looked at here. */
export interface TensorAnswer {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
}

/**
 * Part of the rows that is looked at where the deployment does not say. An image lies in main memory by the time it is
 * counted, and reading it there takes 60 µs: one in ten keeps that below 0.1 % of a MobileNet run.
 */
const DEFAULT_SHARE: Readonly<Record<WatchedTensor['kind'], number>> = { embedding: 1, image: 0.1 };

/**
 * Counts whole tensors, embeddings and images, of answered requests: what is measured on a row, its reconstruction
 * error, its nearest centroid and its random Fourier features. One row in 1 / `share` is looked at, at even distances.
 */
export class TensorObserver {
  readonly #watchers: readonly TensorWatcher[];

  /** @param share part of the rows that is looked at, in [0, 1]; null: by the kind of tensor */
  constructor(watched: readonly WatchedTensor[], share: number | null = null) {
    this.#watchers = watched.map(
      (tensor) => new TensorWatcher(tensor, share ?? DEFAULT_SHARE[tensor.kind]),
    );
  }

  /** @param into the window's sketches, one for each watched tensor, in their order */
  answered(answers: readonly TensorAnswer[], into: readonly TensorSketch[]): void {
    for (let at = 0; at < this.#watchers.length; at += 1) {
      const watcher = this.#watchers[at];
      for (let k = 0; k < answers.length; k += 1) watcher.count(answers[k], into[at]);
    }
  }
}

export function readerOf({ layout }: Pick<WatchedTensor, 'layout'>): RowReader {
  return layout.kind === 'image' ? new ImageReader(layout) : new VectorReader(layout.elements);
}

/** One watched tensor. Its arrays are its own and used again for each row: counting allocates nothing. */
class TensorWatcher {
  readonly #watched: WatchedTensor;
  readonly #reader: RowReader;
  readonly #projection: Projection;
  readonly #fourier: FourierFeatures;
  readonly #row: Float64Array;
  readonly #mean: Float64Array;
  readonly #values: Float64Array;
  readonly #share: number;
  #due = 0;

  constructor(watched: WatchedTensor, share: number) {
    const { width, axes, centroids, fourier } = watched;
    this.#watched = watched;
    this.#reader = readerOf(watched);
    this.#projection = new Projection(width, axes, centroids);
    this.#fourier = new FourierFeatures(width, fourier.features, fourier.seed, fourier.bandwidth);
    this.#row = new Float64Array(width);
    this.#mean = Float64Array.from(watched.mean);
    this.#values = new Float64Array(watched.measures.length);
    this.#share = share;
  }

  count(answer: TensorAnswer, sketch: TensorSketch): void {
    const { side, name } = this.#watched;
    const tensor = (side === 'input' ? answer.inputs : answer.outputs).get(name);
    const numbers = tensor === undefined ? null : numbersOf(tensor);
    const fits = tensor !== undefined && this.#reader.fits(tensor.shape, answer.rows);
    for (let row = 0; row < answer.rows; row += 1) {
      this.#due += this.#share;
      if (this.#due < 1) continue;
      this.#due -= 1;
      sketch.rows += 1;
      if (fits && numbers !== null) this.#countRow(numbers, row, sketch);
      else for (const measure of sketch.measures) measure.missing += 1;
    }
  }

  #countRow(data: NumberData, at: number, sketch: TensorSketch): void {
    const row = this.#row;
    const values = this.#values;
    const { measures } = this.#watched;
    if (!this.#reader.read(data, at, row, values) || !this.#centre()) {
      for (let k = 0; k < measures.length; k += 1) sketch.measures[k].nonFinite += 1;
      return;
    }
    this.#projection.project(row);
    values[measures.length - 1] = this.#projection.residual(this.#squares);
    for (let k = 0; k < measures.length; k += 1) {
      addNumeric(sketch.measures[k], measures[k].grid, values[k]);
    }
    sketch.centroidCounts[this.#projection.nearest()] += 1;
    this.#fourier.add(row, sketch.fourierSums);
  }

  #squares = 0;

  /** Takes the baseline's mean off the row; false where what is left is too large to be counted. */
  #centre(): boolean {
    const row = this.#row;
    const mean = this.#mean;
    let squares = 0;
    for (let k = 0; k < row.length; k += 1) {
      const x = row[k] - mean[k];
      row[k] = x;
      squares += x * x;
    }
    this.#squares = squares;
    return squares <= MAX_MAGNITUDE;
  }
}
