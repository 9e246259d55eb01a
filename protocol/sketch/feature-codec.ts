import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readCounts, totalOf, writeCounts } from './counts-codec.ts';
import { SketchError } from './error.ts';
import type { CategoricalSketch } from './frequency.ts';
import { MAX_BINS } from './grid.ts';
import { emptyHashed, HASH_BUCKETS, type HashedSketch } from './hashed.ts';
import { readHeavy, readRegisters, writeHashed } from './hashed-codec.ts';
import type { NumericSketch } from './histogram.ts';
import { MAX_MAGNITUDE, type Moments, variance } from './moments.ts';
import type { FeatureSketch } from './window.ts';

/** Layout: see codec.ts. */
const NUMERIC = 0;
const CATEGORICAL = 1;
const HASHED = 2;
const KINDS: readonly FeatureSketch['kind'][] = ['numeric', 'categorical', 'hashed'];

/** Kind, missing, nonFinite or unseen, number of cells: no feature takes fewer bytes. */
export const MIN_FEATURE_BYTES = 4;

/**
 * What rounding may leave between moments and their own bounds, as a share of the largest |x|.
 * Welford's error grows with the count; 1e-6 is far above it and far below a lie worth telling.
 */
const MOMENT_SLACK = 1e-6;

/**
 * No bin's mean is farther from the mean than √(rows / rows of the bin) ≤ 2^26.5 σ. Rounding can say otherwise where σ
 * itself is next to nothing, and an infinite one would make the window unreadable.
 */
const MAX_OFFSET = 2 ** 27;

export function writeFeature(writer: ByteWriter, sketch: FeatureSketch, name: string): void {
  if (sketch.counts.length > MAX_BINS) {
    throw new SketchError('limit', `${name}: ${sketch.counts.length} cells, at most ${MAX_BINS}`);
  }
  const isNumeric = sketch.kind === 'numeric';
  writer.byte(KINDS.indexOf(sketch.kind));
  writer.count(sketch.missing, `${name}.missing`);
  if (isNumeric) writer.count(sketch.nonFinite, `${name}.nonFinite`);
  else writer.count(sketch.unseen, `${name}.unseen`);
  writer.count(sketch.counts.length, `${name}.cells`);
  writeCounts(writer, sketch.counts, `${name}.counts`);
  if (isNumeric) writeValues(writer, sketch, name);
  else if (sketch.kind === 'hashed') writeHashed(writer, sketch, name);
}

/** @throws SketchError `truncated`, `format`, or `limit` above `maxBins` cells */
export function readFeature(reader: ByteReader, maxBins: number, name: string): FeatureSketch {
  const kind = reader.byte(`${name}.kind`);
  if (kind > HASHED) {
    throw new SketchError('format', `${name}: kind ${kind}, must be 0, 1 or 2`);
  }
  const missing = reader.count(`${name}.missing`);
  const other = reader.count(`${name}.${kind === NUMERIC ? 'nonFinite' : 'unseen'}`);
  const cells = reader.count(`${name}.cells`);
  if (cells > maxBins) {
    throw new SketchError('limit', `${name}: ${cells} cells, at most ${maxBins}`);
  }
  const { counts, total } = readCounts(reader, cells, `${name}.counts`);
  if (kind === CATEGORICAL) {
    return { kind: 'categorical', missing, unseen: other, counts } satisfies CategoricalSketch;
  }
  if (kind === HASHED) return readHashed(reader, { missing, unseen: other, counts, total }, name);
  const moments = readMoments(reader, total, name);
  const sums = readSums(reader, counts, moments, name);
  return { kind: 'numeric', moments, missing, nonFinite: other, counts, sums };
}

function readHashed(
  reader: ByteReader,
  read: { missing: number; unseen: number; counts: Float64Array; total: number },
  name: string,
): HashedSketch {
  const { missing, unseen, counts, total } = read;
  if (counts.length !== HASH_BUCKETS || unseen !== 0) {
    throw new SketchError(
      'format',
      `${name}: hashed with ${counts.length} cells and ${unseen} unseen, must be ${HASH_BUCKETS} and 0`,
    );
  }
  if (total === 0) return { ...emptyHashed(), missing };
  const registers = readRegisters(reader, name);
  const heavy = readHeavy(reader, total, name);
  return { kind: 'hashed', missing, unseen: 0, counts, registers, heavy };
}

/** A feature that can only be numeric. @throws SketchError as `readFeature` */
export function readNumeric(reader: ByteReader, maxBins: number, name: string): NumericSketch {
  const feature = readFeature(reader, maxBins, name);
  if (feature.kind === 'numeric') return feature;
  throw new SketchError('format', `${name}: is ${feature.kind}, must be numeric`);
}

function writeValues(writer: ByteWriter, sketch: NumericSketch, name: string): void {
  const { moments, counts, sums } = sketch;
  const total = totalOf(counts);
  if (total !== moments.count) {
    throw new SketchError('value', `${name}: ${total} in bins, ${moments.count} in the moments`);
  }
  if (total === 0) return;
  writer.float64(moments.mean);
  writer.float64(moments.m2);
  writer.float64(moments.min);
  writer.float64(moments.max);
  const sigma = Math.sqrt(variance(moments));
  for (let k = 0; k < counts.length; k += 1) {
    if (counts[k] === 0) continue;
    const offset = sums[k] / counts[k] - moments.mean;
    writer.float24(sigma === 0 ? 0 : clamp(offset / sigma, MAX_OFFSET));
  }
}

/** Refuses moments that no data have: merged into a fleet's, one NaN would stay for ever. */
function readMoments(reader: ByteReader, count: number, name: string): Moments {
  if (count === 0) return { count, mean: 0, m2: 0, min: Infinity, max: -Infinity };
  const mean = reader.float64(`${name}.mean`);
  const m2 = reader.float64(`${name}.m2`);
  const min = reader.float64(`${name}.min`);
  const max = reader.float64(`${name}.max`);
  const magnitude = Math.max(Math.abs(min), Math.abs(max));
  const slack = MOMENT_SLACK * magnitude;
  const range = max - min + slack;
  const possible =
    magnitude <= MAX_MAGNITUDE &&
    min <= max &&
    mean >= min - slack &&
    mean <= max + slack &&
    m2 >= 0 &&
    m2 <= count * range * range;
  if (!possible) {
    throw new SketchError(
      'format',
      `${name}: no ${count} values have mean ${mean}, m2 ${m2}, min ${min}, max ${max}`,
    );
  }
  return { count, mean, m2, min, max };
}

function readSums(
  reader: ByteReader,
  counts: Float64Array,
  moments: Moments,
  name: string,
): Float64Array {
  const sums = new Float64Array(counts.length);
  const sigma = Math.sqrt(variance(moments));
  const place = `${name}.sums`;
  for (let k = 0; k < counts.length; k += 1) {
    if (counts[k] === 0) continue;
    const offset = reader.float24(place, k);
    if (!Number.isFinite(offset)) {
      throw new SketchError('format', `${name}.sums[${k}]: ${offset} is not finite`);
    }
    const mean = moments.mean + offset * sigma;
    // The true mean of a bin lies in the range, so this can only bring it nearer.
    sums[k] = counts[k] * Math.min(Math.max(mean, moments.min), moments.max);
  }
  return sums;
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, -most), most);
}
