/**
 * Tensors of a window as bytes.
 *
 *     tensors     := count, then each tensor
 *     tensor      := rows (count)
 *                    measures (count), each a numeric feature
 *                    fourier (count), each sum as zigzag varint: 2s, or -2s - 1 below 0
 *                    centroids (count), counts
 */
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readCounts, writeCounts } from './counts-codec.ts';
import { SketchError } from './error.ts';
import { MIN_FEATURE_BYTES, readNumeric, writeFeature } from './feature-codec.ts';
import { FOURIER_UNIT, type TensorSketch } from './tensor-sketch.ts';

/** What a decoder takes; a profile allows fewer. */
const MAX_TENSORS = 16;
const MAX_MEASURES = 64;
const MAX_FOURIER_SUMS = 4096;
const MAX_CENTROID_COUNTS = 4096;

/** True where no row was looked at. */
export function isEmptyTensor({
  rows,
  measures,
  fourierSums,
  centroidCounts,
}: TensorSketch): boolean {
  return (
    rows === 0 &&
    fourierSums.every((sum) => sum === 0) &&
    centroidCounts.every((count) => count === 0) &&
    measures.every((m) => m.missing + m.nonFinite + m.moments.count === 0)
  );
}

/** @throws SketchError `value` on counts or sums that cannot be, `limit` above the bounds of a decoder */
export function writeTensors(writer: ByteWriter, tensors: readonly TensorSketch[]): void {
  writer.count(bounded(tensors.length, MAX_TENSORS, 'tensors'), 'tensors');
  for (const [k, tensor] of tensors.entries()) {
    const name = `tensor ${k}`;
    const { measures, fourierSums, centroidCounts } = tensor;
    writer.count(tensor.rows, `${name}.rows`);
    writer.count(bounded(measures.length, MAX_MEASURES, `${name}.measures`), name);
    for (const measure of measures) writeFeature(writer, measure, `${name}.measures`);
    writer.count(bounded(fourierSums.length, MAX_FOURIER_SUMS, `${name}.fourier`), name);
    for (const sum of fourierSums)
      writer.count(sum < 0 ? -2 * sum - 1 : 2 * sum, `${name}.fourier`);
    writer.count(bounded(centroidCounts.length, MAX_CENTROID_COUNTS, `${name}.centroids`), name);
    writeCounts(writer, centroidCounts, `${name}.centroids`);
  }
}

/** @throws SketchError `truncated`, `format` or `limit` */
export function readTensors(reader: ByteReader, maxBins: number): TensorSketch[] {
  const count = bounded(reader.count('tensors'), MAX_TENSORS, 'tensors');
  const tensors = Array.from({ length: count }, (_, k) =>
    readTensor(reader, maxBins, `tensor ${k}`),
  );
  if (tensors.every(isEmptyTensor)) throw new SketchError('format', 'tensors: written, but empty');
  return tensors;
}

function readTensor(reader: ByteReader, maxBins: number, name: string): TensorSketch {
  const rows = reader.count(`${name}.rows`);
  const measureCount = bounded(reader.count(`${name}.measures`), MAX_MEASURES, `${name}.measures`);
  requireBytes(reader, measureCount * MIN_FEATURE_BYTES, `${name}.measures`);
  const measures = Array.from({ length: measureCount }, () =>
    readNumeric(reader, maxBins, `${name}.measures`),
  );
  const sums = bounded(reader.count(`${name}.fourier`), MAX_FOURIER_SUMS, `${name}.fourier`);
  requireBytes(reader, sums, `${name}.fourier`);
  const fourierSums = reader.cells(sums);
  for (let k = 0; k < sums; k += 1) {
    const zigzag = reader.count(`${name}.fourier`);
    const sum = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    // Each row adds a cosine or a sine.
    if (Math.abs(sum) > rows * FOURIER_UNIT) {
      throw new SketchError('format', `${name}.fourier: no ${rows} rows sum to ${sum}`);
    }
    fourierSums[k] = sum;
  }
  const cells = bounded(
    reader.count(`${name}.centroids`),
    MAX_CENTROID_COUNTS,
    `${name}.centroids`,
  );
  const counts = reader.cells(cells);
  const total = readCounts(reader, counts, `${name}.centroids`);
  if (total > rows) {
    throw new SketchError('format', `${name}: ${total} rows at centroids, ${rows} looked at`);
  }
  return { rows, measures, fourierSums, centroidCounts: counts };
}

function bounded(value: number, most: number, name: string): number {
  if (value > most) throw new SketchError('limit', `${name}: ${value}, at most ${most}`);
  return value;
}

/** Before anything is allocated for them: each takes at least a byte. */
function requireBytes(reader: ByteReader, bytes: number, name: string): void {
  if (bytes > reader.remaining) {
    throw new SketchError('truncated', `${name}: ${bytes} bytes, ${reader.remaining} are left`);
  }
}
