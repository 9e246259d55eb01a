import { uniformFrom } from '../../engine/observe/tensor/uniform.ts';

/** Directions carried beside those wanted: they take up what mixes at the edge (Halko et al. 2011). */
const OVERSAMPLING = 8;
/** Each round shrinks what does not belong by the ratio of its eigenvalue to theirs. */
const ROUNDS = 8;

/** Rows of one width, one after another. */
export interface RowMatrix {
  readonly rows: number;
  readonly width: number;
  readonly values: Float64Array;
}

export function meanOf({ rows, width, values }: RowMatrix): Float64Array {
  const mean = new Float64Array(width);
  for (let row = 0; row < rows; row += 1) {
    for (let k = 0; k < width; k += 1) mean[k] += values[row * width + k];
  }
  return mean.map((sum) => sum / rows);
}

/**
 * The `count` directions that centred rows vary in most, orthonormal, axis by axis: subspace iteration from seeded
 * random directions (Halko, Martinsson, Tropp 2011, "Finding structure with randomness", algorithm 4.4). Fewer come
 * back where the rows vary in fewer.
 */
export function principalAxes(centred: RowMatrix, count: number, seed: number): Float64Array {
  const { rows, width } = centred;
  const carried = Math.min(count + OVERSAMPLING, width, rows);
  const uniform = uniformFrom(seed);
  let axes = Float64Array.from({ length: carried * width }, () => uniform() - 0.5);
  orthonormalise(axes, carried, width);
  for (let round = 0; round < ROUNDS; round += 1) {
    axes = covarianceTimes(centred, axes, carried);
    orthonormalise(axes, carried, width);
  }
  return strongest(centred, axes, carried, Math.min(count, carried));
}

/** Σ_rows x (x · axis), for each axis; a factor that the next step takes away is left out. */
function covarianceTimes({ rows, width, values }: RowMatrix, axes: Float64Array, count: number) {
  const out = new Float64Array(axes.length);
  for (let row = 0; row < rows; row += 1) {
    const x = values.subarray(row * width, (row + 1) * width);
    for (let axis = 0; axis < count; axis += 1) {
      const from = axis * width;
      let dot = 0;
      for (let k = 0; k < width; k += 1) dot += x[k] * axes[from + k];
      for (let k = 0; k < width; k += 1) out[from + k] += dot * x[k];
    }
  }
  return out;
}

/** Modified Gram–Schmidt, twice; a direction that vanishes becomes 0. */
function orthonormalise(axes: Float64Array, count: number, width: number): void {
  for (let axis = 0; axis < count; axis += 1) {
    const mine = axes.subarray(axis * width, (axis + 1) * width);
    const before = Math.sqrt(dotOf(mine, mine));
    for (let pass = 0; pass < 2; pass += 1) {
      for (let other = 0; other < axis; other += 1) {
        const theirs = axes.subarray(other * width, (other + 1) * width);
        const dot = dotOf(mine, theirs);
        for (let k = 0; k < width; k += 1) mine[k] -= dot * theirs[k];
      }
    }
    const length = Math.sqrt(dotOf(mine, mine));
    const scale = length > before * 1e-10 ? 1 / length : 0;
    for (let k = 0; k < width; k += 1) mine[k] *= scale;
  }
}

/** Of the space that the axes span, its own principal directions: the strongest ones, strongest first. */
function strongest(centred: RowMatrix, axes: Float64Array, carried: number, count: number) {
  const { width } = centred;
  const moved = covarianceTimes(centred, axes, carried);
  const small = Array.from({ length: carried }, (_, a) =>
    Array.from({ length: carried }, (__, b) =>
      dotOf(axes.subarray(a * width, (a + 1) * width), moved.subarray(b * width, (b + 1) * width)),
    ),
  );
  const { values, vectors } = symmetricEigen(small);
  const order = values
    .map((value, at) => ({ value, at }))
    .sort((a, b) => b.value - a.value)
    .filter(({ value }, __, all) => value > all[0].value * 1e-12)
    .slice(0, count);
  const out = new Float64Array(order.length * width);
  for (const [axis, { at }] of order.entries()) {
    for (let basis = 0; basis < carried; basis += 1) {
      const weight = vectors[basis][at];
      for (let k = 0; k < width; k += 1) out[axis * width + k] += weight * axes[basis * width + k];
    }
  }
  return out;
}

function dotOf(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k += 1) sum += a[k] * b[k];
  return sum;
}

const SWEEPS = 30;

/** Eigenvalues and, as columns, eigenvectors of a small symmetric matrix, by cyclic Jacobi rotations. */
export function symmetricEigen(matrix: readonly (readonly number[])[]): {
  values: number[];
  vectors: number[][];
} {
  const size = matrix.length;
  const a = matrix.map((row) => [...row]);
  const v = matrix.map((_, i) => matrix.map((__, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    let off = 0;
    for (let p = 0; p < size; p += 1) {
      for (let q = p + 1; q < size; q += 1) {
        off += Math.abs(a[p][q]);
        rotate(a, v, p, q);
      }
    }
    if (off === 0) break;
  }
  return { values: a.map((row, i) => row[i]), vectors: v };
}

function rotate(a: number[][], v: number[][], p: number, q: number): void {
  if (Math.abs(a[p][q]) < 1e-300) {
    a[p][q] = 0;
    a[q][p] = 0;
    return;
  }
  const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < a.length; k += 1) {
    const [x, y] = [a[k][p], a[k][q]];
    a[k][p] = c * x - s * y;
    a[k][q] = s * x + c * y;
  }
  for (let k = 0; k < a.length; k += 1) {
    const [x, y] = [a[p][k], a[q][k]];
    a[p][k] = c * x - s * y;
    a[q][k] = s * x + c * y;
    const [m, n] = [v[k][p], v[k][q]];
    v[k][p] = c * m - s * n;
    v[k][q] = s * m + c * n;
  }
}
