import type { BitReader } from './bit-reader.ts';
import { type BitWriter, MAX_NUMBER } from './bit-writer.ts';
import { MAX_COMPACT_COUNT, readCompactCounts, writeCompactCounts } from './compact-counts.ts';
import { type CompactMoments, readCompactMoments, writeCompactMoments } from './compact-moments.ts';
import { SketchError } from './error.ts';
import { type FeatureName, HASHED, KINDS, NUMERIC, readHashed, within } from './feature-codec.ts';
import { MAX_BINS } from './grid.ts';
import { writeHashed } from './hashed-codec.ts';
import type { NumericSketch } from './histogram.ts';
import { emptyMoments, type Moments } from './moments.ts';
import type { FeatureSketch } from './window.ts';

/** Its head takes thirteen bits. */
export const MIN_COMPACT_FEATURE_BYTES = 1;

/** Kind in two bits, and whether anything is missing, not finite or unseen. */
const MISSING = 4;
const OTHER = 8;
const HEAD_BITS = 4;
/** As many as MAX_BINS takes. */
const CELLS_BITS = 9;
/** Means of bins lie on steps of σ / 256. Normal rows on 32 bins: a mean lies some 30 of them above the one before. */
const STEPS_PER_SIGMA = 256;
/** Of 2^29 rows none lies further than √(2^30) σ = 2^23 steps from min: what does was never counted, and stays here. */
const MAX_STEPS = MAX_NUMBER;

const gaps = new Int32Array(MAX_BINS);

/** Layout: see codec.ts. @throws SketchError `value` or `limit` */
export function writeCompactFeature(
  bits: BitWriter,
  sketch: FeatureSketch,
  name: FeatureName,
): void {
  try {
    writeUnnamed(bits, sketch);
  } catch (cause) {
    throw within(name, cause);
  }
}

function writeUnnamed(bits: BitWriter, sketch: FeatureSketch): void {
  const { kind, counts, missing } = sketch;
  if (counts.length > MAX_BINS) {
    throw new SketchError('limit', `${counts.length} cells, at most ${MAX_BINS}`);
  }
  const other = kind === 'numeric' ? sketch.nonFinite : sketch.unseen;
  bits.room(6);
  const flags = (missing === 0 ? 0 : MISSING) | (other === 0 ? 0 : OTHER);
  bits.put(KINDS.indexOf(kind) | flags | (counts.length << HEAD_BITS), HEAD_BITS + CELLS_BITS);
  if (missing !== 0) writeRare(bits, missing, 'missing');
  if (other !== 0) writeRare(bits, other, kind === 'numeric' ? 'nonFinite' : 'unseen');
  const total = writeCompactCounts(bits, counts, 'counts');
  if (kind === 'hashed') bits.aside((writer) => writeHashed(writer, sketch, 'hashed'));
  if (kind !== 'numeric') return;
  if (total !== sketch.moments.count) {
    throw new SketchError('value', `${total} in bins, ${sketch.moments.count} in the moments`);
  }
  if (total > 0) writeMeans(bits, sketch, writeCompactMoments(bits, sketch.moments));
}

/** @throws SketchError `truncated`, `format`, or `limit` above `maxBins` cells */
export function readCompactFeature(
  bits: BitReader,
  maxBins: number,
  name: FeatureName,
): FeatureSketch {
  try {
    return readUnnamed(bits, maxBins);
  } catch (cause) {
    throw within(name, cause);
  }
}

function readUnnamed(bits: BitReader, maxBins: number): FeatureSketch {
  const head = bits.take(HEAD_BITS + CELLS_BITS);
  const kind = head & 3;
  if (kind > HASHED) throw new SketchError('format', `kind ${kind}, must be 0, 1 or 2`);
  const missing = (head & MISSING) === 0 ? 0 : readRare(bits, 'missing');
  const other =
    (head & OTHER) === 0 ? 0 : readRare(bits, kind === NUMERIC ? 'nonFinite' : 'unseen');
  const cells = head >>> HEAD_BITS;
  if (cells > maxBins) throw new SketchError('limit', `${cells} cells, at most ${maxBins}`);
  const counts = bits.cells(cells);
  const total = readCompactCounts(bits, counts, 'counts');
  if (kind === HASHED) {
    return bits.aside((reader) => readHashed(reader, { missing, unseen: other, counts, total }));
  }
  if (kind !== NUMERIC) return { kind: 'categorical', missing, unseen: other, counts };
  const sums = bits.cells(cells);
  if (total === 0) {
    return { kind: 'numeric', moments: emptyMoments(), missing, nonFinite: other, counts, sums };
  }
  const { moments, sigma } = readCompactMoments(bits, total);
  readMeans(bits, counts, moments, sigma, sums);
  // Written out in the order of `emptyNumeric`: spread from a part, reading and merging took twice as long.
  return { kind: 'numeric', moments, missing, nonFinite: other, counts, sums };
}

/** A count that is 0 in most windows: a flag says so. */
function writeRare(bits: BitWriter, count: number, name: string): void {
  if (!Number.isInteger(count) || count < 0 || count > MAX_COMPACT_COUNT) {
    throw new SketchError('value', `${name} ${count}: a whole number below 2^29`);
  }
  bits.uint32(count);
}

function readRare(bits: BitReader, name: string): number {
  const count = bits.uint32();
  if (count > 0 && count <= MAX_COMPACT_COUNT) return count;
  throw new SketchError('format', `${name} ${count}: from 1 to 2^29 - 1`);
}

/** Bins are in ascending order, and so are their means: each is written by its distance from the one before. */
function writeMeans(
  bits: BitWriter,
  { counts, sums }: NumericSketch,
  { moments, sigma }: CompactMoments,
): void {
  bits.room(counts.length + 1);
  const { min } = moments;
  const perStep = sigma > 0 ? STEPS_PER_SIGMA / sigma : 0;
  let steps = 0;
  let used = 0;
  for (let k = 0; k < counts.length; k += 1) {
    const count = counts[k];
    if (count === 0) continue;
    const at = Math.min((sums[k] / count - min) * perStep + 0.5, MAX_STEPS) | 0;
    // Rounding may have put the means of two bins that touch the other way round.
    const gap = at > steps ? at - steps : 0;
    gaps[used] = gap;
    used += 1;
    steps += gap;
  }
  bits.list(gaps, used);
}

function readMeans(
  bits: BitReader,
  counts: Float64Array,
  { min, max }: Moments,
  sigma: number,
  into: Float64Array,
): void {
  const step = sigma / STEPS_PER_SIGMA;
  let used = 0;
  for (let k = 0; k < counts.length; k += 1) used += counts[k] === 0 ? 0 : 1;
  bits.list(gaps, used);
  let steps = 0;
  let at = 0;
  for (let k = 0; k < counts.length; k += 1) {
    const count = counts[k];
    if (count === 0) continue;
    steps += gaps[at];
    at += 1;
    const mean = min + steps * step;
    into[k] = count * (mean < max ? mean : max);
  }
}
