import { uniformFrom } from '../../engine/observe/tensor/uniform.ts';
import type { RowMatrix } from './principal-axes.ts';

const ROUNDS = 25;

/**
 * Centres of `count` clusters, centre by centre: Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii
 * 2007). Fewer come back where the rows have fewer different places.
 */
export function clusterCentres(points: RowMatrix, count: number, seed: number): Float64Array {
  let centres = seeds(points, count, seed);
  for (let round = 0; round < ROUNDS; round += 1) {
    const next = meansOfNearest(points, centres);
    if (next.every((value, at) => value === centres[at])) break;
    centres = next;
  }
  return centres;
}

/** Each next seed is a row drawn by its squared distance from the nearest seed so far. */
function seeds({ rows, width, values }: RowMatrix, count: number, seed: number): Float64Array {
  const uniform = uniformFrom(seed);
  const rowAt = (row: number) => values.subarray(row * width, (row + 1) * width);
  const chosen = [Math.floor(uniform() * rows)];
  const distances = new Float64Array(rows).fill(Infinity);
  while (chosen.length < Math.min(count, rows)) {
    const last = rowAt(chosen[chosen.length - 1]);
    let total = 0;
    for (let row = 0; row < rows; row += 1) {
      distances[row] = Math.min(distances[row], squaredDistance(rowAt(row), last, 0));
      total += distances[row];
    }
    if (total === 0) break;
    let left = uniform() * total;
    let row = 0;
    while (row < rows - 1 && left >= distances[row]) {
      left -= distances[row];
      row += 1;
    }
    // Rounding may run into the end, and into a row that is a seed already.
    if (distances[row] === 0) row = distances.findIndex((distance) => distance > 0);
    chosen.push(row);
  }
  return Float64Array.from(chosen.flatMap((row) => Array.from(rowAt(row))));
}

/** An empty cluster keeps its centre. */
function meansOfNearest({ rows, width, values }: RowMatrix, centres: Float64Array): Float64Array {
  const sums = new Float64Array(centres.length);
  const counts = new Float64Array(centres.length / width);
  for (let row = 0; row < rows; row += 1) {
    const point = values.subarray(row * width, (row + 1) * width);
    const at = nearest(point, centres);
    counts[at] += 1;
    for (let k = 0; k < width; k += 1) sums[at * width + k] += point[k];
  }
  return sums.map((sum, at) => {
    const count = counts[Math.floor(at / width)];
    return count === 0 ? centres[at] : sum / count;
  });
}

function nearest(point: Float64Array, centres: Float64Array): number {
  let best = 0;
  let least = Infinity;
  for (let from = 0; from < centres.length; from += point.length) {
    const distance = squaredDistance(point, centres, from);
    if (distance < least) {
      least = distance;
      best = from / point.length;
    }
  }
  return best;
}

function squaredDistance(point: Float64Array, others: Float64Array, from: number): number {
  let sum = 0;
  for (let k = 0; k < point.length; k += 1) {
    const gap = point[k] - others[from + k];
    sum += gap * gap;
  }
  return sum;
}
