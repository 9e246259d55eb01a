import type { Socket } from 'node:net';
import { messageOf } from '../../error.ts';
import type { AssembledInputs } from '../features/assemble.ts';
import type { BatchJob, BatchTimes } from '../model/batch-job.ts';
import type { Tensor } from '../model/runtime.ts';
import { guardedLatencyUs } from '../observe/arm-guard.ts';
import type { RequestTrace } from '../trace/request-trace.ts';
import type { InferRequest } from './infer-request.ts';
import type { InferCall, Inference, WaitingObserver } from './inference.ts';
import { hasNonFinite } from './non-finite.ts';
import { OipError, type OipErrorCode } from './oip-error.ts';
import type { RequestParameters } from './request-parameters.ts';
import type { ServedArm, ServedDeployment } from './routing.ts';

/** A request that its arm has been found for. */
export interface Admitted {
  readonly call: InferCall;
  readonly deployment: ServedDeployment;
  readonly arm: ServedArm;
  readonly request: InferRequest;
  readonly generation: number;
  readonly trace: RequestTrace | null;
}

/** An admitted request in the queue of its arm. */
export class InferJob implements BatchJob {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly parameters: RequestParameters | null;
  readonly #inference: Inference;
  readonly #call: InferCall;
  readonly #deployment: ServedDeployment;
  readonly #arm: ServedArm;
  readonly #request: InferRequest;
  readonly #generation: number;
  readonly #parsedMs: number;
  readonly #trace: RequestTrace | null;
  readonly #fetched: AssembledInputs | null;
  #waiting: WaitingObserver | null = null;

  /** `fetched`: what the model takes, where that is not what was asked. */
  constructor(inference: Inference, admitted: Admitted, fetched: AssembledInputs | null) {
    const { call, deployment, arm, request, generation, trace } = admitted;
    this.inputs = fetched === null ? request.inputs : fetched.inputs;
    this.rows = rowsIn(arm, this.inputs);
    this.priority = request.options.priority;
    this.deadlineMs = deadlineOf(admitted);
    this.parameters = request.parameters ?? null;
    this.#inference = inference;
    this.#call = call;
    this.#deployment = deployment;
    this.#arm = arm;
    this.#request = request;
    this.#generation = generation;
    this.#trace = trace;
    this.#fetched = fetched;
    this.#parsedMs = performance.now();
  }

  get connection(): Socket | null {
    return this.#call.connection;
  }

  enter(observer: WaitingObserver | null): void {
    const arm = this.#arm;
    arm.inFlight.enter();
    arm.slot.inFlight.enter();
    if (observer !== null && arm.slot.session.lanes > 0) {
      this.#waiting = observer;
      observer.waiting(this.#call.connection, arm.slot.manifestDigest);
    }
    arm.batcher.submit(this);
  }

  gone(): boolean {
    return this.#call.gone();
  }

  done(outputs: ReadonlyMap<string, Tensor>, times: BatchTimes): void {
    const call = this.#call;
    const arm = this.#arm;
    const fetched = this.#fetched;
    try {
      const decisionRow = this.#inference.nextDecision(this.rows);
      const from = {
        deployment: this.#deployment.name,
        version: arm.version,
        decision: this.#deployment.window.decisionPrefix + decisionRow.toString(36),
        arm: arm.arm,
        generation: this.#generation,
        featuresDefaulted: fetched === null ? 0 : fetched.defaulted,
      };
      call.answer(this.#request, outputs, from);
      const answeredMs = performance.now();
      this.#inference.answered({
        arm,
        inputs: this.inputs,
        outputs,
        rows: this.rows,
        times,
        startedMs: call.startedMs,
        parsedMs: this.#parsedMs,
        answeredMs,
        latencyUs: (answeredMs - call.startedMs) * 1000,
        gaps: fetched === null ? null : fetched.gaps,
        decisionRow,
        callerId: this.#request.id,
        parameters: this.parameters,
      });
      if (arm.guard !== null) {
        const tookUs = guardedLatencyUs(answeredMs - this.#parsedMs);
        arm.guard.answered(this.inputs, outputs, tookUs, from.decision);
      }
      if (this.#trace !== null) this.#traced(this.#trace, from.decision, times, answeredMs);
    } catch (error) {
      refuse(call, this.#blame(error), this.#trace);
    }
    this.#leave();
  }

  failed(error: unknown): void {
    const refusal =
      error instanceof OipError
        ? error
        : new OipError('model_failed', `the model failed: ${messageOf(error).slice(0, 500)}`, {
            cause: error,
          });
    if (!this.#call.gone()) {
      // A pipeline may find only on its way that the request was wrong.
      if (refusal.status !== 400) this.#count(refusal);
      refuse(this.#call, refusal, this.#trace);
    }
    this.#leave();
  }

  #traced(trace: RequestTrace, decision: string, times: BatchTimes, answeredMs: number): void {
    trace.answered({ rows: this.rows, decision, times, parsedMs: this.#parsedMs }, answeredMs);
  }

  /** An answer that could not be written: whose fault was it? */
  #blame(error: unknown): unknown {
    if (!(error instanceof OipError)) {
      this.#count(new OipError('model_failed', messageOf(error)));
      return error;
    }
    if (error.code !== 'non_finite_output') return error;
    // Not the model's failure when NaN went in: then it was asked for in a form that cannot carry it.
    if (hasNonFinite(this.inputs)) return new OipError('non_finite_input', error.message);
    this.#count(error);
    return error;
  }

  #count(error: OipError): void {
    countFailure({ arm: this.#arm, call: this.#call }, error);
  }

  #leave(): void {
    const arm = this.#arm;
    this.#waiting?.settled(this.#call.connection, arm.slot.manifestDigest);
    arm.inFlight.leave();
    arm.slot.inFlight.leave();
  }
}

/** When an answer comes too late: by the request or else its deployment, and by what its transport says, if earlier. */
export function deadlineOf({ call, deployment, request }: Admitted): number {
  const waitsUs = request.options.timeoutUs ?? deployment.timeoutUs;
  const { startedMs, deadlineMs = Number.POSITIVE_INFINITY } = call;
  return waitsUs === null ? deadlineMs : Math.min(startedMs + waitsUs / 1000, deadlineMs);
}

export function codeOf(error: unknown): OipErrorCode {
  return error instanceof OipError ? error.code : 'model_failed';
}

export function countFailure({ arm, call }: Pick<Admitted, 'arm' | 'call'>, error: unknown): void {
  const tookMs = performance.now() - call.startedMs;
  arm.recorder.failed();
  arm.statistics.failed(codeOf(error), tookMs);
  arm.guard?.failed(codeOf(error), guardedLatencyUs(tookMs));
}

export function refuse(call: InferCall, error: unknown, trace: RequestTrace | null): void {
  trace?.refused(codeOf(error), messageOf(error), performance.now());
  call.refuse(error);
}

/** Rows of a request; 0 where its tensor is empty, whatever its other dimensions claim. */
export function rowsIn({ rowTensor }: ServedArm, inputs: ReadonlyMap<string, Tensor>): number {
  const tensor = rowTensor === null ? undefined : inputs.get(rowTensor);
  if (tensor === undefined || tensor.shape.length === 0) return 1;
  return tensor.data.length === 0 ? 0 : tensor.shape[0];
}
