import type { Arm, Digest } from '../../protocol/ids.ts';
import type { EgressCount } from '../../protocol/ledger.ts';
import {
  emptyLatency,
  LATENCY_BUCKETS,
  type LatencySketch,
} from '../../protocol/sketch/latency.ts';

/** How often something was done and how long it took in all. */
export interface Timing {
  readonly count: number;
  readonly ms: number;
}

/** Calls of the model that carried `size` rows. */
export interface BatchSnapshot {
  readonly size: number;
  readonly executions: number;
  readonly ms: number;
}

/** A `LatencySketch` without its empty buckets: a few hundred bytes instead of 16 KiB per arm and second. */
export interface SparseLatency {
  readonly count: number;
  readonly sumUs: number;
  readonly maxUs: number;
  /** Ascending bucket numbers that hold something, and what they hold. */
  readonly buckets: readonly number[];
  readonly counts: readonly number[];
}

/** Counters of one arm since its engine took it up, and what waits for it now. */
export interface ArmSnapshot {
  readonly deployment: string;
  readonly version: number;
  readonly arm: Arm;
  readonly manifest: Digest;
  /** Rows answered. */
  readonly inferences: number;
  /** Calls of the model. */
  readonly executions: number;
  /** Unix milliseconds; 0: never. */
  readonly lastInferenceMs: number;
  readonly success: Timing;
  readonly fail: Timing;
  readonly queue: Timing;
  readonly computeInput: Timing;
  readonly computeInfer: Timing;
  readonly computeOutput: Timing;
  /** Failed requests by error code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly batches: readonly BatchSnapshot[];
  /** Requests answered, first byte seen to answer written. */
  readonly latency: SparseLatency;
  /** Requests that wait and are not computed yet: a gauge, gone with its engine. */
  readonly pending: number;
}

export type EngineEgress = Readonly<Partial<Record<'features' | 'traces', EgressCount>>>;

export interface ProcessSnapshot {
  readonly ordinal: number;
  readonly pid: number;
  readonly rssBytes: number;
  /** CPU seconds since the process began. */
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  /** Spans that were taken by the traces' endpoint, and those that were not sent or not taken; absent: no traces. */
  /** What this engine has sent off the host, by kind; absent: nothing is configured that would. */
  readonly egress?: EngineEgress;
  readonly spans?: { readonly exported: number; readonly dropped: number };
}

/** The call that has been on its way on a worker thread for longest. */
export interface LongestCall {
  readonly manifest: Digest;
  readonly ms: number;
}

/** What one engine says of itself. Plain data: it crosses a process boundary. */
export interface EngineSnapshot {
  readonly generation: number;
  readonly process: ProcessSnapshot;
  readonly arms: readonly ArmSnapshot[];
  /** Absent: no worker thread computes. */
  readonly longestCall?: LongestCall;
}

/** All engines of a host as one, dead ones included in the counters. */
export interface HostSnapshot {
  readonly arms: readonly ArmSnapshot[];
  readonly processes: readonly ProcessSnapshot[];
  readonly engines: {
    readonly wanted: number;
    readonly alive: number;
    /** Answered too late: their last known counters stand in. */
    readonly unanswered: number;
    /** Ended without having been told to, since the agent started. */
    readonly deaths: number;
  };
}

export function sparseLatency(sketch: LatencySketch): SparseLatency {
  const buckets: number[] = [];
  const counts: number[] = [];
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket += 1) {
    if (sketch.counts[bucket] === 0) continue;
    buckets.push(bucket);
    counts.push(sketch.counts[bucket]);
  }
  return { count: sketch.count, sumUs: sketch.sumUs, maxUs: sketch.maxUs, buckets, counts };
}

export function denseLatency(sparse: SparseLatency): LatencySketch {
  const sketch = emptyLatency();
  sketch.count = sparse.count;
  sketch.sumUs = sparse.sumUs;
  sketch.maxUs = sparse.maxUs;
  for (const [at, bucket] of sparse.buckets.entries()) sketch.counts[bucket] = sparse.counts[at];
  return sketch;
}

/** Tells arms apart: one version may serve in both arms of a deployment. */
export function armKey(arm: Pick<ArmSnapshot, 'deployment' | 'manifest' | 'arm'>): string {
  return `${arm.deployment}\n${arm.manifest}\n${arm.arm}`;
}

/** Sums counters arm by arm, in the order in which arms are first met. Associative; addition of nothing changes nothing. */
export function mergeArms(parts: readonly (readonly ArmSnapshot[])[]): ArmSnapshot[] {
  const merged = new Map<string, ArmSnapshot>();
  for (const arm of parts.flat()) {
    const key = armKey(arm);
    const known = merged.get(key);
    merged.set(key, known === undefined ? arm : mergeTwo(known, arm));
  }
  return [...merged.values()];
}

/** What an engine that has died leaves behind: its counters, and nothing that waits. */
export function withoutPending(arms: readonly ArmSnapshot[]): ArmSnapshot[] {
  return arms.map((arm) => ({ ...arm, pending: 0 }));
}

function mergeTwo(a: ArmSnapshot, b: ArmSnapshot): ArmSnapshot {
  return {
    ...a,
    inferences: a.inferences + b.inferences,
    executions: a.executions + b.executions,
    lastInferenceMs: Math.max(a.lastInferenceMs, b.lastInferenceMs),
    success: addTimings(a.success, b.success),
    fail: addTimings(a.fail, b.fail),
    queue: addTimings(a.queue, b.queue),
    computeInput: addTimings(a.computeInput, b.computeInput),
    computeInfer: addTimings(a.computeInfer, b.computeInfer),
    computeOutput: addTimings(a.computeOutput, b.computeOutput),
    failures: addCounts(a.failures, b.failures),
    batches: addBatches(a.batches, b.batches),
    latency: addLatencies(a.latency, b.latency),
    pending: a.pending + b.pending,
  };
}

function addTimings(a: Timing, b: Timing): Timing {
  return { count: a.count + b.count, ms: a.ms + b.ms };
}

function addCounts(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum = { ...a };
  for (const [code, count] of Object.entries(b)) sum[code] = (sum[code] ?? 0) + count;
  return sum;
}

function addBatches(a: readonly BatchSnapshot[], b: readonly BatchSnapshot[]): BatchSnapshot[] {
  const sum = new Map<number, BatchSnapshot>();
  for (const each of [...a, ...b]) {
    const known = sum.get(each.size) ?? { size: each.size, executions: 0, ms: 0 };
    const executions = known.executions + each.executions;
    sum.set(each.size, { size: each.size, executions, ms: known.ms + each.ms });
  }
  return [...sum.values()].sort((x, y) => x.size - y.size);
}

function addLatencies(a: SparseLatency, b: SparseLatency): SparseLatency {
  const sum = new Map<number, number>();
  for (const { buckets, counts } of [a, b]) {
    for (const [at, bucket] of buckets.entries()) {
      sum.set(bucket, (sum.get(bucket) ?? 0) + counts[at]);
    }
  }
  const buckets = [...sum.keys()].sort((x, y) => x - y);
  return {
    count: a.count + b.count,
    sumUs: a.sumUs + b.sumUs,
    maxUs: Math.max(a.maxUs, b.maxUs),
    buckets,
    counts: buckets.map((bucket) => sum.get(bucket) ?? 0),
  };
}
