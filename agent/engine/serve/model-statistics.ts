import type { Slot } from '../model/slot.ts';

/** How often something was done and how long it took in all. */
export class Duration {
  count = 0;
  ms = 0;

  add(ms: number): void {
    this.count += 1;
    this.ms += ms;
  }
}

/** Moments of one answered request, from `performance.now()`. */
export interface RequestTimes {
  readonly startedAt: number;
  readonly parsedAt: number;
  readonly ranAt: number;
  readonly answeredAt: number;
}

/** Counters of one version in one deployment, since this engine loaded it; what Triton's statistics extension shows. */
export class ModelStatistics {
  /** Rows answered. */
  inferences = 0;
  /** Calls of the model; below `inferences` where callers send batches. */
  executions = 0;
  lastInferenceMs = 0;
  readonly success = new Duration();
  readonly fail = new Duration();
  readonly computeInput = new Duration();
  readonly computeInfer = new Duration();
  readonly computeOutput = new Duration();

  answered(rows: number, times: RequestTimes): void {
    this.inferences += rows;
    this.executions += 1;
    this.lastInferenceMs = Math.floor(performance.timeOrigin + times.answeredAt);
    this.success.add(times.answeredAt - times.startedAt);
    this.computeInput.add(times.parsedAt - times.startedAt);
    this.computeInfer.add(times.ranAt - times.parsedAt);
    this.computeOutput.add(times.answeredAt - times.ranAt);
  }

  /** A request that was right and still failed. */
  failed(ms: number): void {
    this.fail.add(ms);
  }
}

/** A version in memory may serve several deployments; its counters are dropped with it. */
const statistics = new WeakMap<Slot, Map<string, ModelStatistics>>();

export function statisticsOf(slot: Slot, deployment: string): ModelStatistics {
  let perDeployment = statistics.get(slot);
  if (perDeployment === undefined) {
    perDeployment = new Map();
    statistics.set(slot, perDeployment);
  }
  let found = perDeployment.get(deployment);
  if (found === undefined) {
    found = new ModelStatistics();
    perDeployment.set(deployment, found);
  }
  return found;
}

/** An entry of `model_stats`. Queue and cache are absent here and therefore count nothing. */
export function statisticsEntry(name: string, version: number, slot: Slot) {
  const counted = statisticsOf(slot, name);
  const none = shown(new Duration());
  return {
    name,
    version: String(version),
    last_inference: counted.lastInferenceMs,
    inference_count: counted.inferences,
    execution_count: counted.executions,
    inference_stats: {
      success: shown(counted.success),
      fail: shown(counted.fail),
      queue: none,
      compute_input: shown(counted.computeInput),
      compute_infer: shown(counted.computeInfer),
      compute_output: shown(counted.computeOutput),
      cache_hit: none,
      cache_miss: none,
    },
    response_stats: {},
    batch_stats: [],
    memory_usage: [],
  };
}

function shown(duration: Duration): { count: number; ns: number } {
  return { count: duration.count, ns: Math.round(duration.ms * 1e6) };
}
