import type { BatchJob, BatchTimes } from '../model/batch-job.ts';
import type { Tensor } from '../model/runtime.ts';
import type { AnsweredJob } from '../serve/inference.ts';
import { MAX_PRIORITY } from '../serve/request-options.ts';
import type { ServedArm } from '../serve/routing.ts';

/** A score that comes later tells nothing of the window it is counted in. */
const DEADLINE_MS = 10_000;

/**
 * One answer in the queue of the deployment that scores it, behind everybody else's requests. Counted there as a
 * request of its own, and not scored in turn: two deployments that score each other would never come to an end.
 */
export class EvaluationJob implements BatchJob {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly rows = 1;
  readonly priority = MAX_PRIORITY;
  readonly deadlineMs: number;
  readonly #arm: ServedArm;
  readonly #answered: (job: AnsweredJob) => void;
  readonly #startedMs = performance.now();
  readonly #settle: (outputs: ReadonlyMap<string, Tensor> | null) => void;

  private constructor(
    arm: ServedArm,
    inputs: ReadonlyMap<string, Tensor>,
    answered: (job: AnsweredJob) => void,
    settle: (outputs: ReadonlyMap<string, Tensor> | null) => void,
  ) {
    this.inputs = inputs;
    this.deadlineMs = this.#startedMs + DEADLINE_MS;
    this.#arm = arm;
    this.#answered = answered;
    this.#settle = settle;
  }

  /** Resolves with the outputs; null when the model failed, had too much to do, or took too long. */
  static run(
    arm: ServedArm,
    inputs: ReadonlyMap<string, Tensor>,
    answered: (job: AnsweredJob) => void,
  ): Promise<ReadonlyMap<string, Tensor> | null> {
    arm.inFlight.enter();
    arm.slot.inFlight.enter();
    return new Promise<ReadonlyMap<string, Tensor> | null>((resolve) => {
      arm.batcher.submit(new EvaluationJob(arm, inputs, answered, resolve));
    }).finally(() => {
      arm.inFlight.leave();
      arm.slot.inFlight.leave();
    });
  }

  gone(): boolean {
    return false;
  }

  done(outputs: ReadonlyMap<string, Tensor>, times: BatchTimes): void {
    const startedMs = this.#startedMs;
    const answeredMs = performance.now();
    this.#answered({
      ...{ arm: this.#arm, inputs: this.inputs, outputs, rows: 1, times },
      ...{ startedMs, parsedMs: startedMs, answeredMs, gaps: null },
      latencyUs: (answeredMs - startedMs) * 1000,
      evaluation: true,
    });
    this.#settle(outputs);
  }

  failed(): void {
    this.#settle(null);
  }
}
