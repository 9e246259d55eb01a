import type { Socket } from 'node:net';
import { messageOf } from '../../error.ts';
import type { AssembledInputs } from '../features/assemble.ts';
import type { BatchJob, BatchTimes } from '../model/batch-job.ts';
import type { Tensor } from '../model/runtime.ts';
import { guardedLatencyUs } from '../observe/arm-guard.ts';
import { rowsIn } from '../serve/infer-job.ts';
import type { AnsweredJob, WaitingObserver } from '../serve/inference.ts';
import { OipError } from '../serve/oip-error.ts';
import type { RequestParameters } from '../serve/request-parameters.ts';
import type { Pinned, Pins } from './pins.ts';

/** How a job came to be: the deployments of the pipelines that lead to it, outermost first, and their arms. */
export interface PipelineCall {
  readonly chain: readonly string[];
  readonly pins: Pins;
}

export interface StepHost {
  answered(job: AnsweredJob): void;
  readonly waiting: WaitingObserver | null;
}

/** What a step has of the request that it is part of. */
export interface StepRequest {
  readonly job: BatchJob;
  readonly call: PipelineCall;
  /** The pipeline has been answered already: what still waits for it need not be computed. */
  over(): boolean;
}

/**
 * One step in its deployment's own queue: with the request's deadline, priority and client, counted in that
 * deployment's windows and statistics as a request of its own.
 */
export class StepJob implements BatchJob {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly parameters: RequestParameters | null;
  readonly connection: Socket | null;
  readonly within: PipelineCall;
  readonly #request: StepRequest;
  readonly #pinned: Pinned;
  readonly #host: StepHost;
  readonly #gaps: AssembledInputs['gaps'];
  readonly #startedMs = performance.now();
  readonly #resolve: (outputs: ReadonlyMap<string, Tensor>) => void;
  readonly #reject: (error: OipError) => void;
  #observed = false;

  private constructor(
    request: StepRequest,
    pinned: Pinned,
    host: StepHost,
    { inputs, gaps }: Pick<AssembledInputs, 'inputs' | 'gaps'>,
    settle: {
      resolve: (outputs: ReadonlyMap<string, Tensor>) => void;
      reject: (error: OipError) => void;
    },
  ) {
    const { job, call } = request;
    const { timeoutUs } = pinned.deployment;
    this.inputs = inputs;
    this.#gaps = gaps;
    this.rows = rowsIn(pinned.arm, inputs);
    this.priority = job.priority;
    // The deployment's own timeout is for requests that bring none.
    const ownMs = timeoutUs === null ? job.deadlineMs : this.#startedMs + timeoutUs / 1000;
    this.deadlineMs = Number.isFinite(job.deadlineMs) ? job.deadlineMs : ownMs;
    this.parameters = job.parameters ?? null;
    this.connection = job.connection ?? null;
    this.within = call;
    this.#request = request;
    this.#pinned = pinned;
    this.#host = host;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
  }

  /** Resolves with the step's outputs; rejects with an `OipError` that names the step. */
  static run(
    request: StepRequest,
    pinned: Pinned,
    host: StepHost,
    inputs: Pick<AssembledInputs, 'inputs' | 'gaps'>,
  ): Promise<ReadonlyMap<string, Tensor>> {
    return new Promise((resolve, reject) => {
      const job = new StepJob(request, pinned, host, inputs, { resolve, reject });
      const { slot, batcher } = pinned.arm;
      if (slot.session.lanes > 0 && host.waiting !== null) {
        job.#observed = true;
        host.waiting.waiting(job.connection, slot.manifestDigest);
      }
      batcher.submit(job);
    });
  }

  gone(): boolean {
    return this.#request.over() || this.#request.job.gone();
  }

  done(outputs: ReadonlyMap<string, Tensor>, times: BatchTimes): void {
    const { arm } = this.#pinned;
    this.#settled();
    const answeredMs = performance.now();
    const tookMs = answeredMs - this.#startedMs;
    this.#host.answered({
      arm,
      inputs: this.inputs,
      outputs,
      rows: this.rows,
      times,
      startedMs: this.#startedMs,
      parsedMs: this.#startedMs,
      answeredMs,
      latencyUs: tookMs * 1000,
      gaps: this.#gaps,
    });
    arm.guard?.answered(this.inputs, outputs, guardedLatencyUs(tookMs), null);
    this.#resolve(outputs);
  }

  failed(error: unknown): void {
    const { arm, deployment } = this.#pinned;
    this.#settled();
    const code = error instanceof OipError ? error.code : 'model_failed';
    const retryAfterSeconds = error instanceof OipError ? error.retryAfterSeconds : null;
    const told = `step "${deployment.name}" (version ${arm.version}): ${messageOf(error).slice(0, 1000)}`;
    const refusal = new OipError(code, told, {
      cause: error,
      ...(retryAfterSeconds === null ? {} : { retryAfterSeconds }),
    });
    // As for requests of clients: what nobody waits for, and what was wrong itself, is not the model's failure.
    if (!this.gone() && refusal.status !== 400) {
      const tookMs = performance.now() - this.#startedMs;
      arm.recorder.failed();
      arm.statistics.failed(code, tookMs);
      arm.guard?.failed(code, guardedLatencyUs(tookMs));
    }
    this.#reject(refusal);
  }

  #settled(): void {
    if (!this.#observed) return;
    this.#host.waiting?.settled(this.connection, this.#pinned.arm.slot.manifestDigest);
  }
}
