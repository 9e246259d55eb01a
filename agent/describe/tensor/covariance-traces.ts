import type { FourierSpread } from '../../../protocol/statistics/tensor-fourier.ts';
import { meanOf, type RowMatrix } from './principal-axes.ts';

/**
 * tr Σ, tr Σ² and tr Σ³ of the covariance of the rows. The plug-in tr S² is too large by about (tr S)² / m, and tr S³
 * by 3 tr S tr S² / m: what m rows of pure noise would show is taken off (Bai and Saranadasa 1996, for the
 * square; the first-order term of the same expansion for the cube).
 */
export function covarianceTraces(matrix: RowMatrix): FourierSpread {
  const { rows } = matrix;
  const covariance = covarianceOf(matrix);
  const { width } = matrix;
  let trace = 0;
  let square = 0;
  let cube = 0;
  for (let i = 0; i < width; i += 1) {
    trace += covariance[i * width + i];
    for (let j = 0; j < width; j += 1) {
      const value = covariance[i * width + j];
      square += value * value;
      if (value === 0) continue;
      let product = 0;
      for (let k = 0; k < width; k += 1) {
        product += covariance[i * width + k] * covariance[j * width + k];
      }
      cube += value * product;
    }
  }
  const fair = square - (trace * trace) / rows;
  const fairCube = cube - (3 * trace * fair) / rows - (trace * trace * trace) / (rows * rows);
  // Few rows of many directions can leave nothing: the plug-in values then err towards fewer alarms.
  return fair > 0 && fairCube > 0
    ? { trace, square: fair, cube: fairCube }
    : { trace, square, cube };
}

function covarianceOf({ rows, width, values }: RowMatrix): Float64Array {
  const mean = meanOf({ rows, width, values });
  const sums = new Float64Array(width * width);
  const row = new Float64Array(width);
  for (let at = 0; at < rows; at += 1) {
    for (let k = 0; k < width; k += 1) row[k] = values[at * width + k] - mean[k];
    for (let i = 0; i < width; i += 1) {
      const x = row[i];
      for (let j = 0; j < width; j += 1) sums[i * width + j] += x * row[j];
    }
  }
  return sums.map((sum) => sum / (rows - 1));
}
