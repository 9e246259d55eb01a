import { addLatency, emptyLatency } from '../../../protocol/sketch/latency.ts';
import type { BatchTimes } from '../model/batch-job.ts';
import { type ArmSnapshot, sparseLatency, type Timing } from '../snapshot.ts';
import type { OipErrorCode } from './oip-error.ts';

/** The part of an `ArmSnapshot` that is counted here. */
type CountedSoFar = Omit<ArmSnapshot, 'deployment' | 'version' | 'arm' | 'manifest' | 'pending'>;

/** How often something was done and how long it took in all. */
export class Duration {
  count = 0;
  ms = 0;

  add(ms: number): void {
    this.count += 1;
    this.ms += ms;
  }
}

/** Calls of the model with so many rows in them. */
export interface BatchCount {
  executions: number;
  ms: number;
}

const MAX_EXACT_SIZE = 64;

/** Counters of one arm of one deployment, since this engine took it up; what Triton's statistics extension shows. */
export class ModelStatistics {
  /** Rows answered. */
  inferences = 0;
  /** Calls of the model; below `inferences` where rows shared one. */
  executions = 0;
  lastInferenceMs = 0;
  readonly success = new Duration();
  readonly fail = new Duration();
  readonly queue = new Duration();
  readonly computeInput = new Duration();
  readonly computeInfer = new Duration();
  readonly computeOutput = new Duration();
  readonly latency = emptyLatency();
  readonly failures = new Map<OipErrorCode, number>();
  readonly batches = new Map<number, BatchCount>();

  /** All moments on the clock of `performance.now()`: first byte seen, parsed, answer written. */
  answered(
    rows: number,
    times: BatchTimes,
    startedMs: number,
    parsedMs: number,
    answeredMs: number,
  ): void {
    this.inferences += rows;
    if (times.first) this.#called(times);
    this.lastInferenceMs = Math.floor(performance.timeOrigin + answeredMs);
    this.success.add(answeredMs - startedMs);
    addLatency(this.latency, (answeredMs - startedMs) * 1000);
    this.computeInput.add(parsedMs - startedMs);
    this.queue.add(times.startedMs - parsedMs);
    this.computeInfer.add(times.endedMs - times.startedMs);
    this.computeOutput.add(answeredMs - times.endedMs);
  }

  #called({ batchRows, startedMs, endedMs }: BatchTimes): void {
    this.executions += 1;
    // Callers choose their batches: beyond the sizes that we make ourselves, powers of two bound the list.
    const size = batchRows <= MAX_EXACT_SIZE ? batchRows : 2 ** Math.ceil(Math.log2(batchRows));
    const counted = this.batches.get(size);
    if (counted === undefined) {
      this.batches.set(size, { executions: 1, ms: endedMs - startedMs });
      return;
    }
    counted.executions += 1;
    counted.ms += endedMs - startedMs;
  }

  /** Counters so far as plain data. */
  snapshot(): CountedSoFar {
    const { inferences, executions, lastInferenceMs } = this;
    return {
      ...{ inferences, executions, lastInferenceMs },
      success: { ...this.success },
      fail: { ...this.fail },
      queue: { ...this.queue },
      computeInput: { ...this.computeInput },
      computeInfer: { ...this.computeInfer },
      computeOutput: { ...this.computeOutput },
      failures: Object.fromEntries(this.failures),
      batches: [...this.batches]
        .sort(([a], [b]) => a - b)
        .map(([size, counted]) => ({ size, ...counted })),
      latency: sparseLatency(this.latency),
    };
  }

  /** A request that was right and still failed. */
  failed(code: OipErrorCode, ms: number): void {
    this.fail.add(ms);
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }
}

/** An entry of `model_stats`. There is no response cache, so its counts are nought. */
export function statisticsEntry(arm: ArmSnapshot) {
  const none = shown({ count: 0, ms: 0 });
  return {
    name: arm.deployment,
    version: String(arm.version),
    last_inference: arm.lastInferenceMs,
    inference_count: arm.inferences,
    execution_count: arm.executions,
    inference_stats: {
      success: shown(arm.success),
      fail: shown(arm.fail),
      queue: shown(arm.queue),
      compute_input: shown(arm.computeInput),
      compute_infer: shown(arm.computeInfer),
      compute_output: shown(arm.computeOutput),
      cache_hit: none,
      cache_miss: none,
    },
    response_stats: {},
    batch_stats: arm.batches.map(({ size, executions, ms }) => ({
      batch_size: size,
      compute_input: { count: executions, ns: 0 },
      compute_infer: { count: executions, ns: Math.round(ms * 1e6) },
      compute_output: { count: executions, ns: 0 },
    })),
    memory_usage: [],
  };
}

function shown({ count, ms }: Timing): { count: number; ns: number } {
  return { count, ns: Math.round(ms * 1e6) };
}
