import { latencyBucket } from '../../protocol/sketch/latency.ts';
import type { SparseLatency } from '../engine/snapshot.ts';

/**
 * Bounds in µs, each a power of two: there a bucket of the sketch begins, so that the counts are exact. From 16 µs,
 * what a small model takes, to 67 s.
 */
export const LATENCY_BOUNDS_US: readonly number[] = Array.from(
  { length: 23 },
  (_, k) => 2 ** (k + 4),
);

/** How many durations lie below each bound. A duration of exactly a bound counts as above it. */
export function cumulativeLatency(
  latency: SparseLatency,
): (readonly [le: number, count: number])[] {
  let at = 0;
  let seen = 0;
  return LATENCY_BOUNDS_US.map((boundUs) => {
    const first = latencyBucket(boundUs);
    for (; at < latency.buckets.length && latency.buckets[at] < first; at += 1) {
      seen += latency.counts[at];
    }
    return [boundUs, seen] as const;
  });
}
