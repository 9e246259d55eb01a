import type { IncomingMessage, ServerResponse } from 'node:http';
import { rowsOf } from '../../../protocol/profile.ts';
import { messageOf } from '../../error.ts';
import type { Tensor } from '../model/runtime.ts';
import { type Encoding, requestEncoding, unpack } from './content-encoding.ts';
import { HEADER_LENGTH, headerLengthOf } from './header-length.ts';
import { refuse, sendAnswer } from './http-answer.ts';
import { type InferRequest, parseInferRequest } from './infer-request.ts';
import { type InferAnswer, type Provenance, renderInferResponse } from './infer-response.ts';
import { type RequestTimes, statisticsOf } from './model-statistics.ts';
import { OipError } from './oip-error.ts';
import { readBody } from './request-body.ts';
import { armFor, deploymentOf, type ServedArm, type ServingState } from './routing.ts';

export interface InferContext {
  state(): ServingState;
  /** A decision id that names its place: agent, window, row. */
  nextDecision(arm: ServedArm, rows: number): string;
  readonly maxBodyBytes: number;
}

interface Observation {
  arm: ServedArm;
  deployment: string;
  inputs: ReadonlyMap<string, Tensor>;
  outputs: ReadonlyMap<string, Tensor>;
  rows: number;
  times: RequestTimes;
}

/** One request on its way: where it came from and when. */
interface Call {
  readonly name: string;
  readonly version: string | null;
  readonly headerLength: number | null;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly startedAt: number;
}

/**
 * Answers `POST /v2/models/{m}[/versions/{v}]/infer` on node's own server: a framework on this path costs 40% of the
 * requests per second. What was answered is counted after the turn's answers have been written.
 */
export class InferHandler {
  readonly #context: InferContext;
  #observed: Observation[] = [];

  constructor(context: InferContext) {
    this.#context = context;
  }

  handle(name: string, version: string | null, req: IncomingMessage, res: ServerResponse): void {
    const startedAt = performance.now();
    let encoding: Encoding | null;
    let headerLength: number | null;
    try {
      encoding = requestEncoding(req.headers['content-encoding']);
      headerLength = headerLengthOf(req.headers[HEADER_LENGTH]);
    } catch (error) {
      refuse(res, error, true);
      req.resume();
      return;
    }
    const { maxBodyBytes } = this.#context;
    const call = { name, version, headerLength, req, res, startedAt };
    readBody(req, maxBodyBytes, headerLength ?? 0).then(
      (body) =>
        encoding === null ? this.#infer(call, body) : this.#inferPacked(call, body, encoding),
      (error: unknown) => refuse(res, error, true),
    );
  }

  async #inferPacked(call: Call, packed: Buffer, encoding: Encoding): Promise<void> {
    let body: Buffer;
    try {
      body = await unpack(packed, encoding, this.#context.maxBodyBytes);
    } catch (error) {
      refuse(call.res, error);
      return;
    }
    await this.#infer(call, body);
  }

  async #infer(call: Call, body: Buffer): Promise<void> {
    const { name, res, startedAt } = call;
    try {
      // The model's time is the dear part: a client that has left is not computed for.
      if (res.destroyed) return;
      const state = this.#context.state();
      const arm = armFor(deploymentOf(state, name), call.version, Math.random());
      const request = parseInferRequest(body, call.headerLength, arm.slot.manifest);
      const rows = rowsIn(arm, request);
      const parsedAt = performance.now();
      const outputs = await runModel(arm, name, request, parsedAt);
      const ranAt = performance.now();
      const from = {
        deployment: name,
        version: arm.version,
        decision: this.#context.nextDecision(arm, Math.max(rows, 1)),
        arm: arm.arm,
        generation: state.generation,
      };
      const sent = sendAnswer(call.req, res, render(arm, request, from, outputs, startedAt));
      const times = { startedAt, parsedAt, ranAt, answeredAt: performance.now() };
      this.#observe({ arm, deployment: name, inputs: request.inputs, outputs, rows, times });
      if (sent !== null) await sent;
    } catch (error) {
      refuse(res, error);
    }
  }

  #observe(observation: Observation): void {
    this.#observed.push(observation);
    if (this.#observed.length === 1) setImmediate(() => this.recordAnswered());
  }

  /** Counts everything answered so far; also called before a window is cut, so that no answer misses its window. */
  recordAnswered(): void {
    const observed = this.#observed;
    this.#observed = [];
    for (const { arm, deployment, inputs, outputs, rows, times } of observed) {
      const latencyUs = (times.answeredAt - times.startedAt) * 1000;
      arm.recorder.answered(inputs, outputs, rows, latencyUs);
      statisticsOf(arm.slot, deployment).answered(rows, times);
    }
  }
}

async function runModel(
  arm: ServedArm,
  deployment: string,
  request: InferRequest,
  startedAt: number,
): Promise<Map<string, Tensor>> {
  arm.slot.enter();
  try {
    return await arm.slot.session.run(request.inputs);
  } catch (cause) {
    arm.recorder.failed();
    statisticsOf(arm.slot, deployment).failed(performance.now() - startedAt);
    throw new OipError('model_failed', `the model failed: ${messageOf(cause).slice(0, 500)}`, {
      cause,
    });
  } finally {
    arm.slot.leave();
  }
}

function render(
  arm: ServedArm,
  request: InferRequest,
  from: Provenance,
  outputs: ReadonlyMap<string, Tensor>,
  startedAt: number,
): InferAnswer {
  try {
    return renderInferResponse(request.id, from, outputs, request.outputs);
  } catch (error) {
    if (!(error instanceof OipError) || error.code !== 'non_finite_output') throw error;
    // Not the model's failure when NaN went in: then it was asked for in a form that cannot carry it.
    if (hasNonFinite(request.inputs)) throw new OipError('non_finite_input', error.message);
    arm.recorder.failed();
    statisticsOf(arm.slot, from.deployment).failed(performance.now() - startedAt);
    throw error;
  }
}

function hasNonFinite(inputs: ReadonlyMap<string, Tensor>): boolean {
  for (const { data, datatype } of inputs.values()) {
    // FP16 and BF16 have all exponent bits set exactly in infinities and NaN.
    const exponent = datatype === 'FP16' ? 0x7c00 : datatype === 'BF16' ? 0x7f80 : 0;
    if (exponent !== 0 && data instanceof Uint16Array) {
      if (data.some((bits) => (bits & exponent) === exponent)) return true;
    } else if (data instanceof Float32Array || data instanceof Float64Array) {
      if (!data.every(Number.isFinite)) return true;
    }
  }
  return false;
}

/** Rows of a request; 0 where its tensors are empty, whatever their other dimensions claim. */
function rowsIn(arm: ServedArm, request: InferRequest): number {
  const shapes = new Map<string, readonly number[]>();
  let most = 0;
  for (const [name, tensor] of request.inputs) {
    shapes.set(name, tensor.shape);
    most = Math.max(most, tensor.data.length);
  }
  const rows = rowsOf(arm.slot.manifest, shapes);
  return rows > most ? 0 : rows;
}
