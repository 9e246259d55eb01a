import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readCounts, writeCounts } from './counts-codec.ts';
import { SketchError } from './error.ts';
import { LATENCY_BUCKETS, type LatencySketch, latencyBucket } from './latency.ts';

/** Layout: see codec.ts. @throws SketchError `value` when buckets and count disagree */
export function writeLatency(writer: ByteWriter, latency: LatencySketch, name: string): void {
  // Nothing lies above the bucket of the largest; if something does, the sum is not the count.
  const slowest = latencyBucket(latency.maxUs);
  const used = latency.counts[slowest] > 0 ? slowest + 1 : LATENCY_BUCKETS;
  const total = writeCounts(writer, latency.counts, name, 'plain', used);
  if (total !== latency.count) {
    throw new SketchError('value', `${name}: ${total} in buckets, count ${latency.count}`);
  }
  if (total === 0) return;
  writer.float64(latency.sumUs);
  writer.float64(latency.maxUs);
}

/** @throws SketchError `truncated` or `format` */
export function readLatency(reader: ByteReader, name: string): LatencySketch {
  const counts = reader.cells(LATENCY_BUCKETS);
  const total = readCounts(reader, counts, name);
  if (total === 0) return { count: 0, sumUs: 0, maxUs: 0, counts };
  const sumUs = reader.float64(`${name}.sumUs`);
  const maxUs = reader.float64(`${name}.maxUs`);
  let slowest = LATENCY_BUCKETS - 1;
  while (counts[slowest] === 0) slowest -= 1;
  const possible = maxUs >= 0 && maxUs < Infinity && sumUs >= 0 && sumUs < Infinity;
  if (!possible || latencyBucket(maxUs) !== slowest) {
    throw new SketchError('format', `${name}: sum ${sumUs} µs, max ${maxUs} µs do not fit`);
  }
  return { count: total, sumUs, maxUs, counts };
}
