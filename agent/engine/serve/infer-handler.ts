import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Manifest } from '../../../protocol/manifest.ts';
import type { Tensor } from '../model/runtime.ts';
import type { TraceHeaders } from '../trace/trace-context.ts';
import { type Encoding, requestEncoding } from './content-encoding.ts';
import { type Unpacked, unpackGate } from './content-encoding-gate.ts';
import { HEADER_LENGTH, headerLengthOf } from './header-length.ts';
import { refuse, sendAnswer } from './http-answer.ts';
import { refuseUnread } from './http-refusal.ts';
import { type InferRequest, parseInferRequest } from './infer-request.ts';
import { type Provenance, renderInferResponse } from './infer-response.ts';
import type { InferCall, Inference } from './inference.ts';
import { readBody } from './request-body.ts';

/**
 * `POST /v2/models/{m}[/versions/{v}]/infer` on node's own server: a framework on this path costs 40% of the requests
 * per second.
 */
export class InferHandler {
  readonly #inference: Pick<Inference, 'infer'>;
  readonly #maxBodyBytes: number;

  constructor(inference: Pick<Inference, 'infer'>, maxBodyBytes: number) {
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
      refuseUnread(req, res, error);
      return;
    }
    const call = new RestCall(name, version, headerLength, req, res, startedMs);
    const packing = encoding;
    readBody(req, this.#maxBodyBytes, headerLength ?? 0, (error, body) => {
      if (error !== null) refuseUnread(req, res, error);
      else if (packing !== null) void this.#inferPacked(call, body, packing);
      else {
        call.body = body;
        this.#inference.infer(call);
      }
    });
  }

  async #inferPacked(call: RestCall, packed: Buffer, encoding: Encoding): Promise<void> {
    try {
      call.take(await unpackGate.unpack(packed, encoding, this.#maxBodyBytes, () => call.gone()));
    } catch (error) {
      call.refuse(error);
      return;
    }
    this.#inference.infer(call);
  }
}

const NO_BODY = Buffer.alloc(0);

class RestCall implements InferCall {
  readonly deployment: string;
  readonly version: string | null;
  readonly startedMs: number;
  body: Buffer = NO_BODY;
  #unpacked: Unpacked | null = null;
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

  /** Takes over a body that was packed; its room is free again when the request is answered, or given up. */
  take(unpacked: Unpacked): void {
    this.#unpacked = unpacked;
    this.body = unpacked.bytes;
  }

  gone(): boolean {
    // A response that is not at its turn, where requests are pipelined, does not hear of its client.
    const gone = this.#res.destroyed || this.#req.socket.destroyed;
    if (gone) this.#release();
    return gone;
  }

  #release(): void {
    this.#unpacked?.release();
    this.#unpacked = null;
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
    this.#release();
    const answer = renderInferResponse(request.id, from, outputs, request.outputs);
    sendAnswer(this.#req, this.#res, answer);
  }

  refuse(error: unknown): void {
    this.#release();
    refuse(this.#res, error);
  }
}
