import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Manifest } from '../../../protocol/manifest.ts';
import type { Tensor } from '../model/runtime.ts';
import type { TraceHeaders } from '../trace/trace-context.ts';
import { type Encoding, requestEncoding, unpack } from './content-encoding.ts';
import { HEADER_LENGTH, headerLengthOf } from './header-length.ts';
import { refuse, sendAnswer } from './http-answer.ts';
import { type InferRequest, parseInferRequest } from './infer-request.ts';
import { type Provenance, renderInferResponse } from './infer-response.ts';
import type { InferCall, Inference } from './inference.ts';
import { readBody } from './request-body.ts';

/**
 * `POST /v2/models/{m}[/versions/{v}]/infer` on node's own server: a framework on this path costs 40% of the requests
 * per second.
 */
export class InferHandler {
  readonly #inference: Inference;
  readonly #maxBodyBytes: number;

  constructor(inference: Inference, maxBodyBytes: number) {
    this.#inference = inference;
    this.#maxBodyBytes = maxBodyBytes;
  }

  handle(name: string, version: string | null, req: IncomingMessage, res: ServerResponse): void {
    const startedMs = performance.now();
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
    const call = new RestCall(name, version, headerLength, req, res, startedMs);
    const packing = encoding;
    readBody(req, this.#maxBodyBytes, headerLength ?? 0, (error, body) => {
      if (error !== null) refuse(res, error, true);
      else if (packing !== null) void this.#inferPacked(call, body, packing);
      else this.#infer(call, body);
    });
  }

  async #inferPacked(call: RestCall, packed: Buffer, encoding: Encoding): Promise<void> {
    let body: Buffer;
    try {
      body = await unpack(packed, encoding, this.#maxBodyBytes);
    } catch (error) {
      call.refuse(error);
      return;
    }
    this.#infer(call, body);
  }

  #infer(call: RestCall, body: Buffer): void {
    call.body = body;
    this.#inference.infer(call);
  }
}

const NO_BODY = Buffer.alloc(0);

class RestCall implements InferCall {
  readonly deployment: string;
  readonly version: string | null;
  readonly startedMs: number;
  body: Buffer = NO_BODY;
  readonly #headerLength: number | null;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;

  constructor(
    deployment: string,
    version: string | null,
    headerLength: number | null,
    req: IncomingMessage,
    res: ServerResponse,
    startedMs: number,
  ) {
    this.deployment = deployment;
    this.version = version;
    this.startedMs = startedMs;
    this.#headerLength = headerLength;
    this.#req = req;
    this.#res = res;
  }

  get connection(): Socket | null {
    // The response has none before its turn, where requests are pipelined.
    return this.#req.socket;
  }

  gone(): boolean {
    return this.#res.destroyed;
  }

  trace(): TraceHeaders | null {
    const { traceparent, tracestate } = this.#req.headers;
    if (typeof traceparent !== 'string') return null;
    return { traceparent, tracestate: typeof tracestate === 'string' ? tracestate : null };
  }

  parse(manifest: Manifest): InferRequest {
    const request = parseInferRequest(this.body, this.#headerLength, manifest);
    // Tensors are views of what they need; the rest of a body must not live as long as its request waits.
    this.body = NO_BODY;
    return request;
  }

  answer(request: InferRequest, outputs: ReadonlyMap<string, Tensor>, from: Provenance): void {
    const answer = renderInferResponse(request.id, from, outputs, request.outputs);
    sendAnswer(this.#req, this.#res, answer);
  }

  refuse(error: unknown): void {
    refuse(this.#res, error);
  }
}
