/** What a row is in the directions that the baseline varies in most, and what is left of it. */
export class Projection {
  readonly #axes: Float64Array;
  readonly #centroids: Float64Array;
  readonly #width: number;
  readonly #count: number;
  readonly #scores: Float64Array;

  /** @param axes orthonormal, axis by axis; `centroids` in their coordinates */
  constructor(width: number, axes: ArrayLike<number>, centroids: ArrayLike<number>) {
    this.#width = width;
    this.#count = axes.length / width;
    // Widened once: mixed arithmetic on float32 converts at every load.
    this.#axes = Float64Array.from(axes);
    this.#centroids = Float64Array.from(centroids);
    this.#scores = new Float64Array(this.#count);
  }

  /** Coordinates of a centred row along the axes, until the next call. */
  project(row: Float64Array): Float64Array {
    const axes = this.#axes;
    const width = this.#width;
    for (let axis = 0; axis < this.#count; axis += 1) {
      const from = axis * width;
      // Four sums, because one would wait for each addition before the next.
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      let k = 0;
      for (; k + 3 < width; k += 4) {
        a += axes[from + k] * row[k];
        b += axes[from + k + 1] * row[k + 1];
        c += axes[from + k + 2] * row[k + 2];
        d += axes[from + k + 3] * row[k + 3];
      }
      for (; k < width; k += 1) a += axes[from + k] * row[k];
      this.#scores[axis] = a + b + (c + d);
    }
    return this.#scores;
  }

  /** ‖x − x̂‖ of the row last projected, whose squared length is `squares`. */
  residual(squares: number): number {
    let explained = 0;
    for (let axis = 0; axis < this.#count; axis += 1) {
      explained += this.#scores[axis] * this.#scores[axis];
    }
    return Math.sqrt(Math.max(0, squares - explained));
  }

  /** The centroid nearest to the row last projected; the first of several. */
  nearest(): number {
    const scores = this.#scores;
    let best = 0;
    let least = Infinity;
    for (let from = 0, at = 0; from < this.#centroids.length; from += this.#count, at += 1) {
      let distance = 0;
      for (let axis = 0; axis < this.#count; axis += 1) {
        const gap = scores[axis] - this.#centroids[from + axis];
        distance += gap * gap;
      }
      if (distance < least) {
        least = distance;
        best = at;
      }
    }
    return best;
  }
}
