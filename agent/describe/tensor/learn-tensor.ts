import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import {
  emptyTensorSketch,
  FOURIER_UNIT,
  type TensorSketch,
} from '../../../protocol/sketch/tensor-sketch.ts';
import type { FourierSpread } from '../../../protocol/statistics/tensor-fourier.ts';
import {
  type TensorLayout,
  tensorGridOf,
  type WatchedTensor,
  type WatchedTensorSpec,
} from '../../../protocol/tensor-profile.ts';
import type { Tensor } from '../../engine/model/runtime.ts';
import { FourierFeatures } from '../../engine/observe/tensor/fourier.ts';
import { Projection } from '../../engine/observe/tensor/projection.ts';
import { isWatchable, numbersOf } from '../../engine/observe/tensor/row-reader.ts';
import { uniformFrom } from '../../engine/observe/tensor/uniform.ts';
import { readerOf, TensorObserver } from '../../engine/observe/tensors.ts';
import { AgentError } from '../../error.ts';
import { clusterCentres } from './centroids.ts';
import { covarianceTraces } from './covariance-traces.ts';
import { meanOf, principalAxes, type RowMatrix } from './principal-axes.ts';

const AXES = 16;
const CENTROIDS = 32;
const FOURIER_FEATURES = 256;
/** Bins of what is measured on a row. */
const MEASURE_BINS = 16;

/** Fewer can't tell a direction from noise. */
export const MIN_TENSOR_ROWS = 100;
/** Numbers that axes are learned from: 64 MiB. More rows than that hardly move them. */
const MAX_LEARNED_NUMBERS = 8 * 1024 * 1024;
const MAX_CLUSTERED_ROWS = 10_000;
const MAX_SPREAD_ROWS = 10_000;
/** Rows whose pairwise distances give the kernel's width. */
const BANDWIDTH_ROWS = 400;
/** Any: it only has to be the same wherever the profile is made again. */
const SEED = 0x5eed;

/** Answers of the model over the baseline. */
export interface TensorBatch {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
}

/** How a tensor is to be watched, and what it looked like in the baseline. */
export interface LearnedTensor {
  readonly watched: WatchedTensor;
  readonly reference: TensorSketch;
}

/**
 * Learns from a random half of the baseline how to watch a tensor, and counts the other half: a row is closer to axes
 * that were fitted to it than any new row will be, and a reference of such rows would make all traffic look drifted.
 *
 * Throws `AgentError` 'configuration'.
 */
export function learnTensor(
  spec: WatchedTensorSpec,
  layout: TensorLayout,
  batches: readonly TensorBatch[],
): LearnedTensor {
  const unread = datatypesOf(batches, spec).find((datatype) => !isWatchable(datatype));
  if (unread !== undefined) {
    throw new AgentError(
      'configuration',
      `tensor "${spec.name}" is ${unread}: only tensors of numbers of up to 32 bits, and FP64, can be watched as a whole`,
    );
  }
  const { learning, counting } = halves(batches, spec);
  const total = learning.length + counting.length;
  if (total < MIN_TENSOR_ROWS) {
    throw new AgentError(
      'configuration',
      `tensor "${spec.name}" has ${total} rows in the baseline: at least ${MIN_TENSOR_ROWS} are needed to watch it`,
    );
  }
  const rows = readRows(spec, layout, learning);
  const mean = Float32Array.from(meanOf(rows));
  centre(rows, mean);
  const axes = Float32Array.from(principalAxes(rows, AXES, SEED));
  if (axes.length === 0) {
    throw new AgentError(
      'configuration',
      `tensor "${spec.name}" is the same in every row of the baseline: there is nothing to watch`,
    );
  }
  const scores = scoresOf(rows, axes);
  const centroids = Float32Array.from(clusterCentres(scores, CENTROIDS, SEED));
  const bandwidth = medianDistance(rows);
  const fourier = {
    ...{ features: FOURIER_FEATURES, seed: SEED, bandwidth },
    spread: spreadOf(rows, bandwidth),
  };
  const known = { ...spec, width: rows.width, layout, mean, axes, centroids, fourier };
  const measures = measureGrids(known, counting);
  const watched = { ...known, measures };
  const reference = emptyTensorSketch(tensorGridOf(watched));
  new TensorObserver([watched], 1).answered(counting, [reference]);
  return { watched, reference };
}

function datatypesOf(batches: readonly TensorBatch[], { side, name }: WatchedTensorSpec) {
  return batches.flatMap(({ inputs, outputs }) => {
    const tensor = (side === 'input' ? inputs : outputs).get(name);
    return tensor === undefined ? [] : [tensor.datatype];
  });
}

/** One row of a batch, as an answer of its own. */
function halves(batches: readonly TensorBatch[], spec: WatchedTensorSpec) {
  const uniform = uniformFrom(SEED);
  const learning: TensorBatch[] = [];
  const counting: TensorBatch[] = [];
  for (const { inputs, outputs, rows } of batches) {
    const tensor = (spec.side === 'input' ? inputs : outputs).get(spec.name);
    if (tensor === undefined) continue;
    const numbers = numbersOf(tensor);
    if (numbers === null) continue;
    const width = numbers.length / rows;
    for (let row = 0; row < rows; row += 1) {
      const shape = [1, ...tensor.shape.slice(1)];
      const data = numbers.subarray(row * width, (row + 1) * width);
      const named = new Map([[spec.name, { datatype: tensor.datatype, shape, data }]]);
      const part = uniform() < 0.5 ? learning : counting;
      part.push({ inputs: named, outputs: named, rows: 1 });
    }
  }
  return { learning, counting };
}

/** Finite rows as the host will read them, evenly taken where there are too many. */
function readRows(
  spec: WatchedTensorSpec,
  layout: TensorLayout,
  answers: readonly TensorBatch[],
): RowMatrix {
  const reader = readerOf({ layout });
  const { width } = reader;
  const wanted = Math.min(answers.length, Math.floor(MAX_LEARNED_NUMBERS / width));
  const values = new Float64Array(wanted * width);
  const row = new Float64Array(width);
  const measured = new Float64Array(reader.measures.length);
  let rows = 0;
  for (let at = 0; at < wanted; at += 1) {
    const answer = answers[Math.floor((at * answers.length) / wanted)];
    const tensor = answer.inputs.get(spec.name);
    const numbers = tensor === undefined ? null : numbersOf(tensor);
    if (tensor === undefined || numbers === null || !reader.fits(tensor.shape, 1)) continue;
    if (!reader.read(numbers, 0, row, measured)) continue;
    values.set(row, rows * width);
    rows += 1;
  }
  if (rows === 0) {
    throw new AgentError(
      'configuration',
      `tensor "${spec.name}" has no row of finite numbers of one width in the baseline`,
    );
  }
  return { rows, width, values: values.subarray(0, rows * width) };
}

function centre({ rows, width, values }: RowMatrix, mean: Float32Array): void {
  for (let row = 0; row < rows; row += 1) {
    for (let k = 0; k < width; k += 1) values[row * width + k] -= mean[k];
  }
}

function scoresOf(rows: RowMatrix, axes: Float32Array): RowMatrix {
  const projection = new Projection(rows.width, axes, []);
  const count = axes.length / rows.width;
  const used = Math.min(rows.rows, MAX_CLUSTERED_ROWS);
  const values = new Float64Array(used * count);
  for (let row = 0; row < used; row += 1) {
    values.set(projection.project(rowOf(rows, row)), row * count);
  }
  return { rows: used, width: count, values };
}

function rowOf({ width, values }: RowMatrix, row: number): Float64Array {
  return values.subarray(row * width, (row + 1) * width);
}

/** The customary width of the kernel: the median distance of two rows (Gretton et al. 2012). */
function medianDistance(matrix: RowMatrix): number {
  const step = Math.max(1, Math.floor(matrix.rows / BANDWIDTH_ROWS));
  const distances: number[] = [];
  for (let a = 0; a < matrix.rows; a += step) {
    for (let b = 0; b < a; b += step) {
      const [x, y] = [rowOf(matrix, a), rowOf(matrix, b)];
      let squares = 0;
      for (let k = 0; k < x.length; k += 1) squares += (x[k] - y[k]) ** 2;
      distances.push(Math.sqrt(squares));
    }
  }
  distances.sort((a, b) => a - b);
  // Most rows may be equal; they do differ, or there would be no axes.
  return distances[Math.floor(distances.length / 2)] || distances[distances.length - 1];
}

function spreadOf(rows: RowMatrix, bandwidth: number): FourierSpread {
  const used = Math.min(rows.rows, MAX_SPREAD_ROWS);
  const fourier = new FourierFeatures(rows.width, FOURIER_FEATURES, SEED, bandwidth);
  const values = new Float64Array(used * FOURIER_FEATURES);
  for (let row = 0; row < used; row += 1) {
    const from = row * FOURIER_FEATURES;
    fourier.add(rowOf(rows, row), values.subarray(from, from + FOURIER_FEATURES));
  }
  const unit = FOURIER_UNIT * Math.sqrt(FOURIER_FEATURES / 2);
  return covarianceTraces({
    rows: used,
    width: FOURIER_FEATURES,
    values: values.map((x) => x / unit),
  });
}

/** Bins of what is measured on a row, and of its reconstruction error, from rows that nothing was fitted to. */
function measureGrids(
  known: Omit<WatchedTensor, 'measures'>,
  counting: readonly TensorBatch[],
): WatchedTensor['measures'] {
  const reader = readerOf(known);
  const matrix = readRows(known, known.layout, counting);
  centre(matrix, known.mean);
  const projection = new Projection(known.width, known.axes, []);
  const residuals = Float64Array.from({ length: matrix.rows }, (_, at) => {
    const row = rowOf(matrix, at);
    projection.project(row);
    return projection.residual(row.reduce((sum, x) => sum + x * x, 0));
  });
  const columns = reader.measures.map(() => [] as number[]);
  const row = new Float64Array(known.width);
  const values = new Float64Array(reader.measures.length);
  for (const { inputs } of counting) {
    const tensor = inputs.get(known.name);
    const numbers = tensor === undefined ? null : numbersOf(tensor);
    if (tensor === undefined || numbers === null || !reader.fits(tensor.shape, 1)) continue;
    if (!reader.read(numbers, 0, row, values)) continue;
    for (const [k, column] of columns.entries()) column.push(values[k]);
  }
  return [
    ...reader.measures.map((name, k) => ({
      name,
      grid: gridFromReference(Float64Array.from(columns[k]), MEASURE_BINS),
    })),
    { name: 'reconstruction', grid: gridFromReference(residuals, MEASURE_BINS) },
  ];
}
