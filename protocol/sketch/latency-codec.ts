import type { BitReader } from './bit-reader.ts';
import type { BitWriter } from './bit-writer.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readCompactCounts, writeCompactCounts } from './compact-counts.ts';
import { readCounts, writeCounts, zerosEnd } from './counts-codec.ts';
import { SketchError } from './error.ts';
import { LATENCY_BUCKETS, type LatencySketch, latencyBucket } from './latency.ts';

/** As many as LATENCY_BUCKETS takes. */
const BUCKET_BITS = 12;

/** Layout: see codec.ts. @throws SketchError `value` when buckets and count disagree */
export function writeLatency(writer: ByteWriter, latency: LatencySketch, name: string): void {
  const total = writeCounts(writer, latency.counts, name, 'plain', usedBuckets(latency));
  requireTotal(total, latency, name);
  if (total === 0) return;
  writer.float64(latency.sumUs);
  writer.float64(latency.maxUs);
}

/** The same in bits. @throws SketchError as `writeLatency` */
export function writeCompactLatency(bits: BitWriter, latency: LatencySketch, name: string): void {
  const { counts } = latency;
  const used = usedBuckets(latency);
  const first = zerosEnd(counts, 0, used);
  const [start, end] = first < used ? [first, used] : [0, 0];
  bits.room(4);
  bits.put(start, BUCKET_BITS);
  bits.put(end, BUCKET_BITS);
  requireTotal(writeCompactCounts(bits, counts, name, start, end), latency, name);
  if (end === 0) return;
  bits.float64(latency.sumUs);
  bits.float64(latency.maxUs);
}

/** @throws SketchError `truncated` or `format` */
export function readLatency(reader: ByteReader, name: string): LatencySketch {
  const counts = reader.cells(LATENCY_BUCKETS);
  const count = readCounts(reader, counts, name);
  if (count === 0) return { count: 0, sumUs: 0, maxUs: 0, counts };
  const sumUs = reader.float64(`${name}.sumUs`);
  return possible({ count, sumUs, maxUs: reader.float64(`${name}.maxUs`), counts }, name);
}

/** What `writeCompactLatency` wrote. @throws SketchError `truncated` or `format` */
export function readCompactLatency(bits: BitReader, name: string): LatencySketch {
  const counts = bits.cells(LATENCY_BUCKETS);
  const start = bits.take(BUCKET_BITS);
  const end = bits.take(BUCKET_BITS);
  if (start > end || end > LATENCY_BUCKETS) {
    throw new SketchError('format', `${name}: buckets ${start} to ${end} of ${LATENCY_BUCKETS}`);
  }
  if (end === 0) return { count: 0, sumUs: 0, maxUs: 0, counts };
  const count = readCompactCounts(bits, counts, name, start, end);
  const sumUs = bits.float64();
  const latency = possible({ count, sumUs, maxUs: bits.float64(), counts }, name);
  if (counts[start] > 0 && counts[end - 1] > 0) return latency;
  throw new SketchError('format', `${name}: buckets ${start} to ${end} begin or end with zeros`);
}

/** Nothing lies above the bucket of the largest; if something does, the sum is not the count. */
function usedBuckets({ counts, maxUs }: LatencySketch): number {
  const slowest = latencyBucket(maxUs);
  return counts[slowest] > 0 ? slowest + 1 : LATENCY_BUCKETS;
}

function requireTotal(total: number, { count }: LatencySketch, name: string): void {
  if (total === count) return;
  throw new SketchError('value', `${name}: ${total} in buckets, count ${count}`);
}

function possible(latency: LatencySketch, name: string): LatencySketch {
  const { sumUs, maxUs, counts } = latency;
  const measured = maxUs >= 0 && maxUs < Infinity && sumUs >= 0 && sumUs < Infinity;
  const slowest = latencyBucket(measured ? maxUs : 0);
  const isSlowest =
    counts[slowest] > 0 && zerosEnd(counts, slowest + 1, LATENCY_BUCKETS) === LATENCY_BUCKETS;
  if (!measured || !isSlowest) {
    throw new SketchError('format', `${name}: sum ${sumUs} µs, max ${maxUs} µs do not fit`);
  }
  return latency;
}
