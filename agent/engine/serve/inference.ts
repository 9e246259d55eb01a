import type { Socket } from 'node:net';
import type { Digest } from '../../../protocol/ids.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { messageOf } from '../../error.ts';
import type { AssembledInputs } from '../features/assemble.ts';
import type { FeatureStep } from '../features/feature-step.ts';
import type { BatchJob, BatchTimes } from '../model/batch-job.ts';
import type { Tensor } from '../model/runtime.ts';
import type { Answered } from '../observe/recorder.ts';
import type { RequestTrace } from '../trace/request-trace.ts';
import { parseTraceparent, type TraceHeaders, traceHeaders } from '../trace/trace-context.ts';
import type { Tracer } from '../trace/tracer.ts';
import type { InferRequest } from './infer-request.ts';
import type { Provenance } from './infer-response.ts';
import { hasNonFinite } from './non-finite.ts';
import { OipError, type OipErrorCode } from './oip-error.ts';
import type { RequestParameters } from './request-parameters.ts';
import {
  armFor,
  deploymentOf,
  type ServedArm,
  type ServedDeployment,
  type ServingState,
} from './routing.ts';

/** One request, whatever carried it. `answer` and `refuse` write; one of them is called once, unless the client left. */
export interface InferCall {
  readonly deployment: string;
  /** A pinned version, or null. */
  readonly version: string | null;
  /** When its first byte was seen, on the clock of `performance.now()`. */
  readonly startedMs: number;
  /** Where an answer can still be written by others should this engine die; null where that is not possible. */
  readonly connection: Socket | null;
  /** The client has left: nothing needs to be computed for it. */
  gone(): boolean;
  /** The trace that it says it is part of; null: none. */
  trace(): TraceHeaders | null;
  /** Throws `OipError`. */
  parse(manifest: Manifest): InferRequest;
  /** May throw `OipError` 'non_finite_output' or 'bad_request'; then `refuse` follows. */
  answer(request: InferRequest, outputs: ReadonlyMap<string, Tensor>, from: Provenance): void;
  /** `OipError`, or anything else for an internal error. */
  refuse(error: unknown): void;
}

/** Tells the supervisor which connections wait on a model that computes beside this thread. */
export interface WaitingObserver {
  waiting(connection: Socket | null, manifest: Digest): void;
  settled(connection: Socket | null, manifest: Digest): void;
}

export interface InferenceContext {
  state(): ServingState;
  readonly waiting: WaitingObserver | null;
  /** Null: no request is traced. */
  readonly tracer: Tracer | null;
}

/**
 * The way of a request between a transport and a model: which arm answers, its queue, the answer, and what is counted
 * of it. What was answered is counted after the turn's answers have been written.
 */
export class Inference {
  readonly #context: InferenceContext;
  #decisions = 0;
  #answered: AnsweredJob[] = [];

  constructor(context: InferenceContext) {
    this.#context = context;
  }

  /** Never throws. */
  infer(call: InferCall): void {
    const { tracer, waiting } = this.#context;
    const trace = tracer === null ? null : tracer.begin(call);
    try {
      // The model's time is the dear part: a client that has left is not computed for.
      if (call.gone()) return;
      const state = this.#context.state();
      const deployment = deploymentOf(state, call.deployment);
      const arm = armFor(deployment, call.version, Math.random());
      if (trace !== null) trace.answeredBy(arm.slot.manifest.model, arm.version, arm.arm);
      arm.features?.check();
      const request = call.parse(arm.asked);
      const admitted = { call, deployment, arm, request, generation: state.generation, trace };
      if (arm.features === null) new InferJob(this, admitted, null).enter(waiting);
      else void this.#inferWithFeatures(admitted, arm.features);
    } catch (error) {
      refuse(call, error, trace);
    }
  }

  /** The arm is held from here on: a switch of plans waits for what is being fetched for it, too. */
  async #inferWithFeatures(admitted: Admitted, step: FeatureStep): Promise<void> {
    const { call, arm, request, trace } = admitted;
    arm.inFlight.enter();
    arm.slot.inFlight.enter();
    try {
      const headers = trace === null ? passedOn(call) : trace.fetching(performance.now());
      const fetched = await step.inputs(request.inputs, {
        deadlineMs: deadlineOf(admitted),
        headers,
      });
      trace?.fetched(performance.now(), null, fetched.defaulted);
      if (!call.gone()) new InferJob(this, admitted, fetched).enter(this.#context.waiting);
    } catch (error) {
      trace?.fetched(performance.now(), codeOf(error), 0);
      if (!call.gone()) {
        if (!(error instanceof OipError && error.status === 400)) countFailure(admitted, error);
        refuse(call, error, trace);
      }
    } finally {
      arm.inFlight.leave();
      arm.slot.inFlight.leave();
    }
  }

  /** A decision id that names its place: agent, window, engine, row. */
  nextDecision(deployment: ServedDeployment, rows: number): string {
    const row = this.#decisions;
    this.#decisions += rows === 0 ? 1 : rows;
    return deployment.window.decisionPrefix + row.toString(36);
  }

  answered(job: AnsweredJob): void {
    this.#answered.push(job);
    if (this.#answered.length === 1) setImmediate(() => this.recordAnswered());
  }

  /** Counts everything answered so far; also called before a window is cut, so that no answer misses its window. */
  recordAnswered(): void {
    const answered = this.#answered;
    this.#answered = [];
    // Requests of one arm come in runs, and a run is counted in one go.
    for (let from = 0, at = 0; at < answered.length; at += 1) {
      const { arm, rows, times, startedMs, parsedMs, answeredMs } = answered[at];
      arm.statistics.answered(rows, times, startedMs, parsedMs, answeredMs);
      if (at + 1 < answered.length && answered[at + 1].arm.recorder === arm.recorder) continue;
      arm.recorder.answered(
        from === 0 && at + 1 === answered.length ? answered : answered.slice(from, at + 1),
      );
      from = at + 1;
    }
  }
}

/** A request that has been answered and not been counted yet. */
export interface AnsweredJob extends Answered {
  readonly arm: ServedArm;
  readonly times: BatchTimes;
  readonly startedMs: number;
  readonly parsedMs: number;
  readonly answeredMs: number;
}

/** A request that its arm has been found for. */
interface Admitted {
  readonly call: InferCall;
  readonly deployment: ServedDeployment;
  readonly arm: ServedArm;
  readonly request: InferRequest;
  readonly generation: number;
  readonly trace: RequestTrace | null;
}

class InferJob implements BatchJob {
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
      const from = {
        deployment: this.#deployment.name,
        version: arm.version,
        decision: this.#inference.nextDecision(this.#deployment, this.rows),
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
      });
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

function deadlineOf({ call, deployment, request }: Admitted): number {
  const waitsUs = request.options.timeoutUs ?? deployment.timeoutUs;
  return waitsUs === null ? Number.POSITIVE_INFINITY : call.startedMs + waitsUs / 1000;
}

function codeOf(error: unknown): OipErrorCode {
  return error instanceof OipError ? error.code : 'model_failed';
}

function countFailure({ arm, call }: Pick<Admitted, 'arm' | 'call'>, error: unknown): void {
  arm.recorder.failed();
  arm.statistics.failed(codeOf(error), performance.now() - call.startedMs);
}

function refuse(call: InferCall, error: unknown, trace: RequestTrace | null): void {
  trace?.refused(codeOf(error), messageOf(error), performance.now());
  call.refuse(error);
}

/** A request that is not traced here may still be part of a trace: whoever is called next shall know. */
function passedOn(call: InferCall): Record<string, string> | null {
  const headers = call.trace();
  const context = headers === null ? null : parseTraceparent(headers);
  return context === null ? null : traceHeaders(context);
}

/** Rows of a request; 0 where its tensor is empty, whatever its other dimensions claim. */
export function rowsIn({ rowTensor }: ServedArm, inputs: ReadonlyMap<string, Tensor>): number {
  const tensor = rowTensor === null ? undefined : inputs.get(rowTensor);
  if (tensor === undefined || tensor.shape.length === 0) return 1;
  return tensor.data.length === 0 ? 0 : tensor.shape[0];
}
