/**
 * A window as bytes. Little-endian; `count` is a LEB128 varint from 0 to 2^53 − 1, written in as
 * few bytes as it takes; `f16` is sign, 5 exponent and 10 mantissa bits (`float16Code`).
 *
 *     'D' 'L' 'W'    magic
 *     version        byte, FORMAT_VERSION
 *     requests rows errors nonFiniteOutputs     4 × count
 *     latency        counts of LATENCY_BUCKETS buckets; if any: sumUs, maxUs (f64)
 *     features       count, then each feature
 *     prediction     one feature
 *     sections       to the end, in ascending order, each only where it is not empty:
 *                      1 outcome      see outcome-codec.ts
 *                      2 tensors      see tensor-codec.ts
 *                      3 evaluators   see evaluator-codec.ts
 *                      4 cost         computeUs priceMicros idleMicros energyJ (4 × f64)
 *     crc32          uint32 of all bytes before it
 *
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
 * Format 1 (protocols 1 and 2) has no sections, plain counts in features, and of each bin the upper 24 bits of
 * a float32.
 */
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { crc32 } from './crc32.ts';
import { SketchError } from './error.ts';
import { MIN_FEATURE_BYTES, readFeature, writeFeature } from './feature-codec.ts';
import { MAX_BINS } from './grid.ts';
import { readLatency, writeLatency } from './latency-codec.ts';
import { noSections, readSections, writeSections } from './sections.ts';
import type { FeatureSketch, WindowSketch } from './window.ts';

const MAGIC = [0x44, 0x4c, 0x57];
const CRC_BYTES = 4;

/**
 * 1: first format, without sections; still read. 2: sections and three bytes for a bin's mean, in builds between releases;
 * refused. 3: near counts, and two bytes for a mean.
 */
export const FORMAT_VERSION = 3;
const FIRST_VERSION = 1;

/**
 * What a decoder takes. A window decodes to at most 16 bytes × maxFeatures × maxBins, whatever
 * its bytes say (16 MiB with the defaults), and 32 KiB more, latency among it;
 * sections to at most 6 MiB more.
 * A numeric feature of 32 bins, 195 bytes encoded, is 512 bytes of counts and sums.
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
 * @throws SketchError `value` when a count is no whole number from 0 to 2^53 − 1 or moments and
 *   bins disagree, `limit` above MAX_BINS cells
 */
export function encodeWindow(window: WindowSketch): Uint8Array<ArrayBuffer> {
  writer.clear();
  for (const byte of MAGIC) writer.byte(byte);
  writer.byte(FORMAT_VERSION);
  writer.count(window.requests, 'requests');
  writer.count(window.rows, 'rows');
  writer.count(window.errors, 'errors');
  writer.count(window.nonFiniteOutputs, 'nonFiniteOutputs');
  writeLatency(writer, window.latency, 'latency');
  writer.count(window.features.length, 'features');
  for (const [k, feature] of window.features.entries()) writeFeature(writer, feature, k);
  writeFeature(writer, window.prediction, 'prediction');
  writeSections(writer, window);
  writer.uint32(crc32(writer.written()));
  return writer.written().slice();
}

/**
 * @throws SketchError, and nothing else, on any bytes: `limit`, `truncated`, `format`,
 *   `version` or `checksum`
 */
export function decodeWindow(
  bytes: Uint8Array,
  limits: WindowLimits = DEFAULT_WINDOW_LIMITS,
): WindowSketch {
  const { version, body } = checked(bytes, limits);
  const reader = new ByteReader(body);
  const requests = reader.count('requests');
  const rows = reader.count('rows');
  const errors = reader.count('errors');
  const nonFiniteOutputs = reader.count('nonFiniteOutputs');
  const latency = readLatency(reader, 'latency');
  const { maxBins } = limits;
  const count = readFeatureCount(reader, limits);
  const features: FeatureSketch[] = [];
  for (let k = 0; k < count; k += 1) features.push(readFeature(reader, maxBins, k, version));
  const prediction = readFeature(reader, maxBins, 'prediction', version);
  const sections = version === FIRST_VERSION ? noSections() : readSections(reader, maxBins);
  if (reader.remaining > 0) {
    throw new SketchError('format', `${reader.remaining} bytes after the prediction`);
  }
  return {
    requests,
    rows,
    errors,
    nonFiniteOutputs,
    features,
    prediction,
    latency,
    ...sections,
  };
}

/** Magic, version and checksum come first: nothing is parsed out of damaged bytes. */
function checked(bytes: Uint8Array, limits: WindowLimits): { version: 1 | 3; body: Uint8Array } {
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
  const version = bytes[MAGIC.length];
  if (version !== FIRST_VERSION && version !== FORMAT_VERSION) {
    throw new SketchError(
      'version',
      `format ${version}: this build reads ${FIRST_VERSION} and ${FORMAT_VERSION}`,
    );
  }
  const body = bytes.subarray(0, -CRC_BYTES);
  const tail = new DataView(bytes.buffer, bytes.byteOffset + body.length, CRC_BYTES);
  const expected = tail.getUint32(0, true);
  const actual = crc32(body);
  if (actual !== expected) {
    throw new SketchError('checksum', `CRC-32 ${actual}, but the bytes carry ${expected}`);
  }
  return { version, body: body.subarray(head) };
}

function readFeatureCount(reader: ByteReader, limits: WindowLimits): number {
  const features = reader.count('features');
  if (features > limits.maxFeatures) {
    throw new SketchError('limit', `${features} features: at most ${limits.maxFeatures}`);
  }
  // Before anything is allocated for them: that many can't be in the bytes that are left.
  if (features * MIN_FEATURE_BYTES > reader.remaining) {
    throw new SketchError('truncated', `${features} features in ${reader.remaining} bytes`);
  }
  return features;
}
