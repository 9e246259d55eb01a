/**
 * A window as bytes, in two formats: 4, which hosts send, and 3, in which windows are kept (profiles, sums of many windows)
 * because their moments come back exactly. Little-endian; `count` is a LEB128 varint from 0 to 2^53 − 1, written in as
 * few bytes as it takes; `f16` is sign, 5 exponent and 10 mantissa bits (`float16Code`).
 *
 *     'D' 'L' 'W'    magic
 *     format         byte, 3 or 4
 *     requests rows errors nonFiniteOutputs     4 × count
 *     body           see below
 *     sections       to the end, in ascending order, each only where it is not empty; the same in both formats:
 *                      1 outcome      see outcome-codec.ts
 *                      2 tensors      see tensor-codec.ts
 *                      3 evaluators   see evaluator-codec.ts
 *                      4 cost         computeUs priceMicros idleMicros energyJ (4 × f64)
 *     crc32          uint32 of all bytes before it
 *
 * Format 3:
 *
 *     body        := latency: counts of LATENCY_BUCKETS buckets; if any: sumUs, maxUs (f64)
 *                    features (count), each feature, then the prediction as one
 *     feature     := kind (byte: 0 numeric, 1 categorical, 2 hashed)
 *                    missing (count)   nonFinite | unseen (count)
 *                    cells (count)     counts
 *                    numeric with any count: mean m2 min max (4 × f64),
 *                                            one f16 per bin that isn't empty
 *                    hashed with any count: see hashed-codec.ts
 *     counts      := a count above 0 by its code, never 0; r zeros as 0, then r − 1. Codes are the
 *                    counts, but in features the distance from the one before: see counts-codec.ts
 *
 * The f16 of a bin is (mean of the bin − mean) / σ of this same window, not its sum: a float32
 * sum of Unix timestamps would be off by minutes. Rounding moves a bin's mean by at most
 * 2^-11 · |bin mean − mean|, or 2^-14 σ near it, hence a Wasserstein distance by at most
 * 2^-11 + 2^-14 = 5.5e-4 σ: a fifth of what 32 bins themselves cost, and a 180th of the smallest
 * distance (0.1 σ) that anything is decided on. Counts and moments come back exactly.
 *
 * Format 4: all but the number of features are bits (bit-writer.ts), to a whole byte at the end. `list` is numbers in
 * blocks of eight, each block in as many bits as its largest number takes.
 *
 *     body        := features (count)
 *                    latency: first bucket, and the one behind the last (2 × 12 bits), counts of those between;
 *                             if any: sumUs, maxUs (f64)
 *                    each feature, then the prediction as one
 *     feature     := kind (2 bits), missing? other? (1 bit each), cells (9 bits)
 *                    missing, nonFinite | unseen (uint32), each only where it is not 0
 *                    counts
 *                    numeric with any count: moments (compact-moments.ts), and a list of how many steps of σ / 256 the
 *                      mean of each bin that isn't empty lies above the one before, the first above min
 *                    hashed: the rest of the byte, then see hashed-codec.ts
 *     counts      := a list of distances: see compact-counts.ts
 *
 * Rounding moves a bin's mean, and so a Wasserstein distance, by at most 2^-9 σ, a fiftieth of 0.1 σ; measured, where errors
 * of bins cancel out, 1e-4 σ (`bench/evaluate/sketch-choice`), and 1.5e-3 σ where 128 windows are added up two by two and
 * written each time, as in a full outbox. Counts, min and max come back exactly. A window of 2^29 rows or requests and
 * more is written in format 3.
 *
 * Format 1 (protocols 1 and 2) has no sections, plain counts in features, and of each bin the upper 24 bits of
 * a float32.
 */
import { BitReader } from './bit-reader.ts';
import { BitWriter } from './bit-writer.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { MAX_COMPACT_COUNT } from './compact-counts.ts';
import {
  MIN_COMPACT_FEATURE_BYTES,
  readCompactFeature,
  writeCompactFeature,
} from './compact-feature.ts';
import { crc32 } from './crc32.ts';
import { SketchError } from './error.ts';
import { MIN_FEATURE_BYTES, readFeature, writeFeature } from './feature-codec.ts';
import { MAX_BINS } from './grid.ts';
import {
  readCompactLatency,
  readLatency,
  writeCompactLatency,
  writeLatency,
} from './latency-codec.ts';
import { noSections, readSections, writeSections } from './sections.ts';
import type { FeatureSketch, WindowSketch } from './window.ts';

const MAGIC = [0x44, 0x4c, 0x57];
const CRC_BYTES = 4;

/**
 * 1: first format, without sections; still read. 2: sections and three bytes for a bin's mean, in builds between releases;
 * refused. 3: near counts, and two bytes for a mean. 4: bits, and rounded moments.
 */
export type WindowFormat = 3 | 4;
export const KEPT_FORMAT = 3;
export const WIRE_FORMAT = 4;
const FIRST_FORMAT = 1;
type ReadFormat = typeof FIRST_FORMAT | WindowFormat;

/**
 * What a decoder takes. A window decodes to at most 16 bytes × maxFeatures × maxBins, whatever
 * its bytes say (16 MiB with the defaults), and 32 KiB more, latency among it;
 * sections to at most 6 MiB more.
 * A numeric feature of 32 bins is 512 bytes of counts and sums, of 70 encoded.
 */
export interface WindowLimits {
  readonly maxBytes: number;
  readonly maxFeatures: number;
  /** Cells of one feature. */
  readonly maxBins: number;
}

export const DEFAULT_WINDOW_LIMITS: WindowLimits = {
  maxBytes: 1024 * 1024,
  maxFeatures: 4096,
  maxBins: MAX_BINS,
};

/** One for all windows: a new buffer for each, grown step by step, was a quarter of the time. */
const writer = new ByteWriter();

/**
 * @param format of a window that is sent: older control planes never see format 4, which comes with protocol 4
 * @throws SketchError `value` when a count is no whole number from 0 to 2^53 − 1 or moments and
 *   bins disagree, `limit` above MAX_BINS cells
 */
export function encodeWindow(
  window: WindowSketch,
  format: WindowFormat = WIRE_FORMAT,
): Uint8Array<ArrayBuffer> {
  const isCompact =
    format === WIRE_FORMAT && Math.max(window.requests, window.rows) <= MAX_COMPACT_COUNT;
  writer.clear();
  for (const byte of MAGIC) writer.byte(byte);
  writer.byte(isCompact ? WIRE_FORMAT : KEPT_FORMAT);
  writer.count(window.requests, 'requests');
  writer.count(window.rows, 'rows');
  writer.count(window.errors, 'errors');
  writer.count(window.nonFiniteOutputs, 'nonFiniteOutputs');
  if (isCompact) writeCompactParts(window);
  else writeParts(window);
  writeSections(writer, window);
  writer.uint32(crc32(writer.written()));
  return writer.written().slice();
}

function writeParts({ latency, features, prediction }: WindowSketch): void {
  writeLatency(writer, latency, 'latency');
  writer.count(features.length, 'features');
  for (let k = 0; k < features.length; k += 1) writeFeature(writer, features[k], k);
  writeFeature(writer, prediction, 'prediction');
}

function writeCompactParts({ latency, features, prediction }: WindowSketch): void {
  writer.count(features.length, 'features');
  const bits = new BitWriter(writer);
  writeCompactLatency(bits, latency, 'latency');
  for (let k = 0; k < features.length; k += 1) writeCompactFeature(bits, features[k], k);
  writeCompactFeature(bits, prediction, 'prediction');
  bits.end();
}

/**
 * @throws SketchError, and nothing else, on any bytes: `limit`, `truncated`, `format`,
 *   `version` or `checksum`
 */
export function decodeWindow(
  bytes: Uint8Array,
  limits: WindowLimits = DEFAULT_WINDOW_LIMITS,
): WindowSketch {
  const { format, body } = checked(bytes, limits);
  const reader = new ByteReader(body);
  const requests = reader.count('requests');
  const rows = reader.count('rows');
  const errors = reader.count('errors');
  const nonFiniteOutputs = reader.count('nonFiniteOutputs');
  const parts =
    format === WIRE_FORMAT ? readCompactParts(reader, limits) : readParts(reader, limits, format);
  const sections = format === FIRST_FORMAT ? noSections() : readSections(reader, limits.maxBins);
  if (reader.remaining > 0) {
    throw new SketchError('format', `${reader.remaining} bytes after the prediction`);
  }
  return { requests, rows, errors, nonFiniteOutputs, ...parts, ...sections };
}

type Parts = Pick<WindowSketch, 'latency' | 'features' | 'prediction'>;

function readParts(reader: ByteReader, limits: WindowLimits, format: 1 | 3): Parts {
  const { maxBins } = limits;
  const latency = readLatency(reader, 'latency');
  const count = readFeatureCount(reader, limits, MIN_FEATURE_BYTES);
  const features: FeatureSketch[] = [];
  for (let k = 0; k < count; k += 1) features.push(readFeature(reader, maxBins, k, format));
  return { latency, features, prediction: readFeature(reader, maxBins, 'prediction', format) };
}

function readCompactParts(reader: ByteReader, limits: WindowLimits): Parts {
  const { maxBins } = limits;
  const count = readFeatureCount(reader, limits, MIN_COMPACT_FEATURE_BYTES);
  const bits = new BitReader(reader);
  const latency = readCompactLatency(bits, 'latency');
  const features: FeatureSketch[] = [];
  for (let k = 0; k < count; k += 1) features.push(readCompactFeature(bits, maxBins, k));
  const prediction = readCompactFeature(bits, maxBins, 'prediction');
  bits.end();
  return { latency, features, prediction };
}

/** Magic, version and checksum come first: nothing is parsed out of damaged bytes. */
function checked(
  bytes: Uint8Array,
  limits: WindowLimits,
): { format: ReadFormat; body: Uint8Array } {
  if (bytes.length > limits.maxBytes) {
    throw new SketchError('limit', `${bytes.length} bytes: at most ${limits.maxBytes}`);
  }
  const head = MAGIC.length + 1;
  if (bytes.length < head + CRC_BYTES) {
    throw new SketchError('truncated', `${bytes.length} bytes: at least ${head + CRC_BYTES}`);
  }
  if (MAGIC.some((byte, k) => bytes[k] !== byte)) {
    throw new SketchError('format', 'does not begin with "DLW": not an encoded window');
  }
  const format = bytes[MAGIC.length];
  if (format !== FIRST_FORMAT && format !== KEPT_FORMAT && format !== WIRE_FORMAT) {
    throw new SketchError(
      'version',
      `format ${format}: this build reads ${FIRST_FORMAT}, ${KEPT_FORMAT} and ${WIRE_FORMAT}`,
    );
  }
  const body = bytes.subarray(0, -CRC_BYTES);
  const tail = new DataView(bytes.buffer, bytes.byteOffset + body.length, CRC_BYTES);
  const expected = tail.getUint32(0, true);
  const actual = crc32(body);
  if (actual !== expected) {
    throw new SketchError('checksum', `CRC-32 ${actual}, but the bytes carry ${expected}`);
  }
  return { format, body: body.subarray(head) };
}

function readFeatureCount(reader: ByteReader, limits: WindowLimits, minBytes: number): number {
  const features = reader.count('features');
  if (features > limits.maxFeatures) {
    throw new SketchError('limit', `${features} features: at most ${limits.maxFeatures}`);
  }
  // Before anything is allocated for them: that many can't be in the bytes that are left.
  if (features * minBytes > reader.remaining) {
    throw new SketchError('truncated', `${features} features in ${reader.remaining} bytes`);
  }
  return features;
}
