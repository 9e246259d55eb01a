import type { IncomingMessage, ServerResponse } from 'node:http';
import { rowsOf } from '../../../protocol/profile.ts';
import { messageOf } from '../../error.ts';
import type { Tensor } from '../model/runtime.ts';
import { type InferRequest, parseInferRequest } from './infer-request.ts';
import { renderInferResponse } from './infer-response.ts';
import { OipError } from './oip-error.ts';
import { armFor, deploymentOf, type ServedArm, type ServingState } from './routing.ts';

export interface InferContext {
  state(): ServingState;
  /** A decision id that names its place: agent, window, row. */
  nextDecision(arm: ServedArm, rows: number): string;
  readonly maxBodyBytes: number;
}

interface Observation {
  arm: ServedArm;
  inputs: ReadonlyMap<string, Tensor>;
  outputs: ReadonlyMap<string, Tensor>;
  rows: number;
  latencyUs: number;
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
    const encoding = req.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      refuse(res, new OipError('unsupported_encoding', `content-encoding "${encoding}" is not supported; send the body as it is`));
      req.resume();
      return;
    }
    readBody(req, this.#context.maxBodyBytes).then(
      (body) => this.#infer(name, version, body, res, startedAt),
      (error: unknown) => refuse(res, error, true),
    );
  }

  async #infer(
    name: string,
    version: string | null,
    body: Buffer,
    res: ServerResponse,
    startedAt: number,
  ): Promise<void> {
    try {
      const state = this.#context.state();
      const arm = armFor(deploymentOf(state, name), version, Math.random());
      const request = parseInferRequest(body, arm.slot.manifest);
      const rows = rowsOf(arm.slot.manifest, shapesOf(request));
      const outputs = await runModel(arm, request);
      const from = {
        deployment: name,
        version: arm.version,
        decision: this.#context.nextDecision(arm, rows),
        arm: arm.arm,
        generation: state.generation,
      };
      respond(res, 200, this.#render(arm, request, from, outputs));
      const latencyUs = (performance.now() - startedAt) * 1000;
      this.#observe({ arm, inputs: request.inputs, outputs, rows, latencyUs });
    } catch (error) {
      refuse(res, error);
    }
  }

  #render(
    arm: ServedArm,
    request: InferRequest,
    from: Parameters<typeof renderInferResponse>[1],
    outputs: ReadonlyMap<string, Tensor>,
  ): string {
    try {
      return renderInferResponse(request.id, from, outputs, request.outputs);
    } catch (error) {
      if (error instanceof OipError && error.status >= 500) arm.recorder.failed();
      throw error;
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
    for (const { arm, inputs, outputs, rows, latencyUs } of observed) {
      arm.recorder.answered(inputs, outputs, rows, latencyUs);
    }
  }
}

async function runModel(arm: ServedArm, request: InferRequest): Promise<Map<string, Tensor>> {
  arm.slot.enter();
  try {
    return await arm.slot.session.run(request.inputs);
  } catch (cause) {
    arm.recorder.failed();
    throw new OipError('model_failed', `the model failed: ${messageOf(cause).slice(0, 500)}`, {
      cause,
    });
  } finally {
    arm.slot.leave();
  }
}

function shapesOf(request: InferRequest): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const [name, tensor] of request.inputs) shapes.set(name, tensor.shape);
  return shapes;
}

/** The whole body, refused before it is read when its declared length is over the bound. */
function readBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = (bytes: string) =>
      new OipError('body_too_large', `a body of ${bytes} bytes exceeds the ${maxBytes} allowed`);
    const declared = Number(req.headers['content-length'] ?? 0);
    if (declared > maxBytes) {
      reject(tooLarge(String(declared)));
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        chunks.length = 0;
        req.removeAllListeners('data');
        reject(tooLarge(`more than ${maxBytes}`));
        return;
      }
      chunks.push(chunk);
    });
    req.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    req.on('error', (cause) => reject(new OipError('bad_request', 'the request was cut off', { cause })));
    // A client that hangs up is answered by nobody; the promise only has to settle.
    req.on('aborted', () => reject(new OipError('bad_request', 'the client hung up')));
  });
}

function respond(res: ServerResponse, status: number, body: string): void {
  if (res.destroyed || res.headersSent) return;
  const length = Buffer.byteLength(body);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': length });
  res.end(body);
}

/** `closing`: the body was not read to its end, so the connection can't be used again. */
export function refuse(res: ServerResponse, error: unknown, closing = false): void {
  const known =
    error instanceof OipError ? error : new OipError('model_failed', 'internal error', { cause: error });
  if (closing && !res.headersSent) {
    res.setHeader('connection', 'close');
    // Give the answer time to arrive before the unread rest of the body resets the connection.
    res.once('finish', () => setTimeout(() => res.socket?.destroy(), 500).unref());
  }
  respond(res, known.status, known.body);
}
