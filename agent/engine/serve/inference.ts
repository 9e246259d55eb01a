import type { Socket } from 'node:net';
import type { Digest } from '../../../protocol/ids.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import type { FeatureStep } from '../features/feature-step.ts';
import type { BatchTimes } from '../model/batch-job.ts';
import type { Tensor } from '../model/runtime.ts';
import type { Answered } from '../observe/recorder.ts';
import { parseTraceparent, type TraceHeaders, traceHeaders } from '../trace/trace-context.ts';
import type { Tracer } from '../trace/tracer.ts';
import { type Admitted, codeOf, countFailure, deadlineOf, InferJob, refuse } from './infer-job.ts';
import type { InferRequest } from './infer-request.ts';
import type { Provenance } from './infer-response.ts';
import { drained, OipError } from './oip-error.ts';
import { armFor, deploymentOf, type ServedArm, type ServingState } from './routing.ts';

/** One request, whatever carried it. `answer` and `refuse` write; one of them is called once, unless the client left. */
export interface InferCall {
  readonly deployment: string;
  /** A pinned version, or null. */
  readonly version: string | null;
  /** When its first byte was seen, on the clock of `performance.now()`. */
  readonly startedMs: number;
  /** Where an answer can still be written by others should this engine die; null where that is not possible. */
  readonly connection: Socket | null;
  /** When its caller stops waiting, as the transport says, on that clock; absent or `Infinity`: it does not say. */
  readonly deadlineMs?: number;
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
  /** Whether new requests are refused; absent: never. */
  draining?(): boolean;
  /** More rows are remembered for their labels than should wait to be written down. */
  onDecisions?(): void;
}

/**
 * The way of a request between a transport and a model: which arm answers, its queue, the answer, and what is counted
 * of it. What was answered is counted after it has been written, many requests at a time.
 */
export class Inference {
  readonly #context: InferenceContext;
  #decisions = 0;
  #answered: AnsweredJob[] = [];
  /** Tensor elements that wait to be counted, and by that keep their memory. */
  #held = 0;
  #counting = false;
  #countLater: NodeJS.Timeout | null = null;

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
      if (this.#context.draining?.()) throw drained();
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

  /** The last part of a decision id, which names the place of a row: agent, window, engine, row. */
  nextDecision(rows: number): number {
    const row = this.#decisions;
    this.#decisions += rows === 0 ? 1 : rows;
    return row;
  }

  answered(job: AnsweredJob): void {
    const { length } = this.#answered;
    this.#answered.push(job);
    this.#held += heldElements(job);
    if (length === 0) this.#countLater = setTimeout(this.#count, COUNT_WITHIN_MS);
    const enough = length + 1 >= COUNT_TOGETHER || this.#held >= MAX_HELD_ELEMENTS;
    if (!enough || this.#counting) return;
    this.#counting = true;
    setImmediate(this.#count);
  }

  readonly #count = (): void => this.recordAnswered();

  /** Counts everything answered so far; also called before a window is cut, so that no answer misses its window. */
  recordAnswered(): void {
    const answered = this.#answered;
    this.#answered = [];
    this.#held = 0;
    this.#counting = false;
    if (this.#countLater !== null) clearTimeout(this.#countLater);
    this.#countLater = null;
    // Requests of one arm come in runs, and a run is counted in one go.
    for (let from = 0, at = 0; at < answered.length; at += 1) {
      const { arm, rows, times, startedMs, parsedMs, answeredMs } = answered[at];
      arm.statistics.answered(rows, times, startedMs, parsedMs, answeredMs);
      // The time of a pipeline is that of its steps, and is counted there.
      if (times.first && arm.slot.pipeline === null) {
        arm.cost.computed(times.endedMs - times.startedMs);
      }
      if (at + 1 < answered.length && answered[at + 1].arm.recorder === arm.recorder) continue;
      const run =
        from === 0 && at + 1 === answered.length ? answered : answered.slice(from, at + 1);
      arm.recorder.answered(run);
      arm.evaluators?.answered(run);
      if (arm.guard !== null) lookAtDrift(arm, run);
      from = at + 1;
      if ((arm.recorder.outcomes?.decisions ?? 0) >= MAX_WAITING_DECISIONS) {
        this.#context.onDecisions?.();
      }
    }
  }
}

/** Answered requests that are counted in one go: 64 cost half of what eight times 8 do. */
const COUNT_TOGETHER = 64;
/** Where requests are rarer than that. Far below a window, and what a crash can lose. */
const COUNT_WITHIN_MS = 10;
/** Rows of one arm that wait to be written down: 1 MB of them. */
const MAX_WAITING_DECISIONS = 32_768;
/** Requests of large tensors are counted as soon as their turn is over, so that their memory is not held. */
const MAX_HELD_ELEMENTS = 16_384;

function lookAtDrift({ guard, recorder }: ServedArm, run: readonly AnsweredJob[]): void {
  let rows = 0;
  for (let at = 0; at < run.length; at += 1) rows += run[at].rows;
  guard?.counted(rows, recorder.current.prediction, () => recorder.predicted());
}

function heldElements({ inputs }: AnsweredJob): number {
  let elements = 0;
  for (const { data } of inputs.values()) elements += data.length;
  return elements;
}

/** A request that has been answered and not been counted yet. */
export interface AnsweredJob extends Answered {
  readonly arm: ServedArm;
  readonly times: BatchTimes;
  readonly startedMs: number;
  readonly parsedMs: number;
  readonly answeredMs: number;
  /** It was asked to score another answer, and is not scored itself. */
  readonly evaluation?: boolean;
}

/** A request that is not traced here may still be part of a trace: whoever is called next shall know. */
function passedOn(call: InferCall): Record<string, string> | null {
  const headers = call.trace();
  const context = headers === null ? null : parseTraceparent(headers);
  return context === null ? null : traceHeaders(context);
}
