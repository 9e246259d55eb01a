import { type LatencySketch, latencyBucket, quantile } from '../../protocol/sketch/latency.ts';
import { rateEvidence } from '../../protocol/statistics/rate-e-value.ts';
import type { Learnt, Seen, StreamMemory } from './stream.ts';

/** A profile knows no latency: it is learned where it is served, from at least so much. */
const MIN_STEPS = 20;
const MIN_REQUESTS = 1000;

/** 1 in 20 requests is slower than the p95 that was learned; twice as many are no news on a host that does other things. */
const TOLERATED_SHARE = 0.1;

/** A page needs a p95 half as slow again, and by as much as somebody notices. */
const RATIO_FLOOR = 0.5;
const DIFFERENCE_FLOOR_US = 5000;

/** How many requests were slower than the p95 of the first steps. Null without requests. */
export function latencySignal(
  latency: LatencySketch,
  memory: StreamMemory | null,
  learningSteps: number,
): Seen | Learnt | null {
  if (latency.count === 0) return null;
  const known =
    memory?.kind === 'latency'
      ? memory
      : { kind: 'latency' as const, steps: 0, sparse: [], p95: null };
  if (known.p95 === null) return { learnt: learn(latency, known, learningSteps) };
  const { bucket, us } = known.p95;
  let events = 0;
  for (let k = bucket + 1; k < latency.counts.length; k += 1) events += latency.counts[k];
  const rate = { events, trials: latency.count };
  const p95Us = quantile(latency, 0.95) ?? 0;
  const effect = Math.min(
    (p95Us / Math.max(us, 1) - 1) / RATIO_FLOOR,
    (p95Us - us) / DIFFERENCE_FLOOR_US,
  );
  const logE = rateEvidence(rate, TOLERATED_SHARE);
  return {
    observation: { kind: 'evidence', logE, effect },
    measure: { kind: 'latency', p95Us, referenceP95Us: us, effect, ...rate },
    memory: known,
  };
}

function learn(
  latency: LatencySketch,
  known: StreamMemory & { readonly kind: 'latency' },
  learningSteps: number,
): StreamMemory {
  const counts = new Float64Array(latency.counts);
  for (const [bucket, count] of known.sparse) counts[bucket] += count;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const steps = known.steps + 1;
  if (steps < Math.max(MIN_STEPS, learningSteps) || total < MIN_REQUESTS) {
    const sparse = [...counts.entries()].filter(([, count]) => count > 0);
    return { kind: 'latency', steps, sparse, p95: null };
  }
  const us = quantile({ count: total, sumUs: 0, maxUs: latency.maxUs, counts }, 0.95) ?? 0;
  return { kind: 'latency', steps, sparse: [], p95: { bucket: latencyBucket(us), us } };
}
