import type { ByteReader } from './byte-reader.ts';
import { type ByteWriter, float16Code } from './byte-writer.ts';
import { readCounts, writeCounts } from './counts-codec.ts';
import { SketchError } from './error.ts';
import type { CategoricalSketch } from './frequency.ts';
import { MAX_BINS } from './grid.ts';
import { emptyHashed, HASH_BUCKETS, type HashedSketch } from './hashed.ts';
import { readHeavy, readRegisters, writeHashed } from './hashed-codec.ts';
import type { NumericSketch } from './histogram.ts';
import { MAX_MAGNITUDE, type Moments, variance } from './moments.ts';
import type { FeatureSketch } from './window.ts';

/** Layout: see codec.ts. */
export const NUMERIC = 0;
const CATEGORICAL = 1;
export const HASHED = 2;
export const KINDS: readonly FeatureSketch['kind'][] = ['numeric', 'categorical', 'hashed'];

/** Kind, missing, nonFinite or unseen, number of cells: no feature takes fewer bytes. */
export const MIN_FEATURE_BYTES = 4;

/**
 * What rounding may leave between moments and their own bounds, as a share of the largest |x|.
 * Welford's error grows with the count; 1e-6 is far above it and far below a lie worth telling.
 */
const MOMENT_SLACK = 1e-6;

/** A text, or the number of a feature: its text is put together only for an error. */
export type FeatureName = string | number;

/** @throws SketchError `value` or `limit` */
export function writeFeature(writer: ByteWriter, sketch: FeatureSketch, name: FeatureName): void {
  try {
    writeUnnamed(writer, sketch);
  } catch (cause) {
    throw within(name, cause);
  }
}

function writeUnnamed(writer: ByteWriter, sketch: FeatureSketch): void {
  const { kind, counts } = sketch;
  if (counts.length > MAX_BINS) {
    throw new SketchError('limit', `${counts.length} cells, at most ${MAX_BINS}`);
  }
  writer.byte(KINDS.indexOf(kind));
  writer.count(sketch.missing, 'missing');
  if (kind === 'numeric') writer.count(sketch.nonFinite, 'nonFinite');
  else writer.count(sketch.unseen, 'unseen');
  writer.count(counts.length, 'cells');
  const total = writeCounts(writer, counts, 'counts', 'near');
  if (kind === 'numeric') writeValues(writer, sketch, total);
  else if (kind === 'hashed') writeHashed(writer, sketch, 'hashed');
}

/**
 * @param format of the window: in 1, counts are plain and the mean of a bin takes three bytes
 * @throws SketchError `truncated`, `format`, or `limit` above `maxBins` cells
 */
export function readFeature(
  reader: ByteReader,
  maxBins: number,
  name: FeatureName,
  format: 1 | 3 = 3,
): FeatureSketch {
  try {
    return readUnnamed(reader, maxBins, format);
  } catch (cause) {
    throw within(name, cause);
  }
}

function readUnnamed(reader: ByteReader, maxBins: number, format: 1 | 3): FeatureSketch {
  const kind = reader.byte('kind');
  if (kind > HASHED) throw new SketchError('format', `kind ${kind}, must be 0, 1 or 2`);
  const missing = reader.count('missing');
  const other = reader.count(kind === NUMERIC ? 'nonFinite' : 'unseen');
  const cells = reader.count('cells');
  if (cells > maxBins) throw new SketchError('limit', `${cells} cells, at most ${maxBins}`);
  const counts = reader.cells(cells);
  const total = readCounts(reader, counts, 'counts', format === 1 ? 'plain' : 'near');
  if (kind === CATEGORICAL) {
    return { kind: 'categorical', missing, unseen: other, counts } satisfies CategoricalSketch;
  }
  if (kind === HASHED) return readHashed(reader, { missing, unseen: other, counts, total });
  const moments = readMoments(reader, total);
  const sums = readSums(reader, counts, moments, format);
  return { kind: 'numeric', moments, missing, nonFinite: other, counts, sums };
}

/** An error with the feature's name in front. */
export function within(name: FeatureName, cause: unknown): unknown {
  if (!(cause instanceof SketchError)) return cause;
  const place = typeof name === 'number' ? `feature ${name}` : name;
  return new SketchError(cause.kind, `${place}: ${cause.message}`);
}

/** What follows the counts of a hashed feature. @throws SketchError `truncated` or `format` */
export function readHashed(
  reader: ByteReader,
  read: { missing: number; unseen: number; counts: Float64Array; total: number },
): HashedSketch {
  const { missing, unseen, counts, total } = read;
  if (counts.length !== HASH_BUCKETS || unseen !== 0) {
    throw new SketchError(
      'format',
      `hashed with ${counts.length} cells and ${unseen} unseen, must be ${HASH_BUCKETS} and 0`,
    );
  }
  if (total === 0) return { ...emptyHashed(), missing };
  const registers = readRegisters(reader, 'hashed');
  const heavy = readHeavy(reader, total, 'hashed');
  return { kind: 'hashed', missing, unseen: 0, counts, registers, heavy };
}

/** A feature that can only be numeric. @throws SketchError as `readFeature` */
export function readNumeric(reader: ByteReader, maxBins: number, name: string): NumericSketch {
  const feature = readFeature(reader, maxBins, name);
  if (feature.kind === 'numeric') return feature;
  throw new SketchError('format', `${name}: is ${feature.kind}, must be numeric`);
}

function writeValues(writer: ByteWriter, sketch: NumericSketch, total: number): void {
  const { moments, counts, sums } = sketch;
  if (total !== moments.count) {
    throw new SketchError('value', `${total} in bins, ${moments.count} in the moments`);
  }
  if (total === 0) return;
  const { mean } = moments;
  writer.float64(mean);
  writer.float64(moments.m2);
  writer.float64(moments.min);
  writer.float64(moments.max);
  const sigma = Math.sqrt(variance(moments));
  const perSigma = sigma === 0 ? 0 : 1 / sigma;
  const bytes = writer.room(2 * counts.length);
  let at = writer.length;
  for (let k = 0; k < counts.length; k += 1) {
    if (counts[k] === 0) continue;
    const code = float16Code((sums[k] / counts[k] - mean) * perSigma);
    bytes[at] = code;
    bytes[at + 1] = code >>> 8;
    at += 2;
  }
  writer.advance(at);
}

/** Refuses moments that no data have: merged into a fleet's, one NaN would stay for ever. */
function readMoments(reader: ByteReader, count: number): Moments {
  if (count === 0) return { count, mean: 0, m2: 0, min: Infinity, max: -Infinity };
  const mean = reader.float64('mean');
  const m2 = reader.float64('m2');
  const min = reader.float64('min');
  const max = reader.float64('max');
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
      `no ${count} values have mean ${mean}, m2 ${m2}, min ${min}, max ${max}`,
    );
  }
  return { count, mean, m2, min, max };
}

function readSums(
  reader: ByteReader,
  counts: Float64Array,
  moments: Moments,
  format: 1 | 3,
): Float64Array {
  const sums = reader.cells(counts.length);
  const sigma = Math.sqrt(variance(moments));
  const { mean, min, max } = moments;
  for (let k = 0; k < counts.length; k += 1) {
    const count = counts[k];
    if (count === 0) continue;
    const offset = format === 3 ? reader.float16('sums', k) : reader.float24('sums', k);
    if (!Number.isFinite(offset)) {
      throw new SketchError('format', `sums[${k}]: ${offset} is not finite`);
    }
    const ofBin = mean + offset * sigma;
    // The true mean of a bin lies in the range, so this can only bring it nearer.
    sums[k] = count * (ofBin < min ? min : ofBin > max ? max : ofBin);
  }
  return sums;
}
