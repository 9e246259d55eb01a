import type { IncomingHttpHeaders } from 'node:http2';
import type { Manifest } from '../../../../protocol/manifest.ts';
import type { Tensor } from '../../model/runtime.ts';
import type { TraceHeaders } from '../../trace/trace-context.ts';
import type { InferRequest } from '../infer-request.ts';
import type { Provenance } from '../infer-response.ts';
import type { InferCall } from '../inference.ts';
import { toInferRequest } from './infer-decode.ts';
import { writeInferResponse } from './infer-encode.ts';
import type { InferMessage } from './infer-message.ts';
import { frameMessage } from './message-frame.ts';
import { ProtoWriter } from './proto-writer.ts';

/** Where the answer to one inference goes. */
export interface AnswerSink {
  /** The field of the outer message that answers are put into; null where they stand alone. */
  readonly wrapper: number | null;
  gone(): boolean;
  answered(parts: readonly Buffer[]): void;
  refused(error: unknown): void;
}

/** Every answer is written in one go, so one writer serves all. */
const writer = new ProtoWriter();

/** One `ModelInferRequest` on its way through the engine. */
export class GrpcInferCall implements InferCall {
  readonly deployment: string;
  readonly version: string | null;
  readonly startedMs: number;
  /** Answers of other streams are on the same connection: nobody else can write on it. */
  readonly connection = null;
  readonly deadlineMs: number;
  readonly #message: InferMessage;
  readonly #metadata: IncomingHttpHeaders;
  readonly #sink: AnswerSink;

  /**
   * `timeoutUs`: how long the caller waits, from `startedMs`, by its `grpc-timeout`. `metadata`: of the call, or of the
   * stream that it came on.
   */
  constructor(
    message: InferMessage,
    startedMs: number,
    timeoutUs: number | null,
    metadata: IncomingHttpHeaders,
    sink: AnswerSink,
  ) {
    this.deployment = message.modelName;
    this.version = message.modelVersion === '' ? null : message.modelVersion;
    this.startedMs = startedMs;
    this.deadlineMs = timeoutUs === null ? Number.POSITIVE_INFINITY : startedMs + timeoutUs / 1000;
    this.#message = message;
    this.#metadata = metadata;
    this.#sink = sink;
  }

  gone(): boolean {
    return this.#sink.gone();
  }

  trace(): TraceHeaders | null {
    const { traceparent, tracestate } = this.#metadata;
    if (typeof traceparent !== 'string') return null;
    return { traceparent, tracestate: typeof tracestate === 'string' ? tracestate : null };
  }

  parse(manifest: Manifest): InferRequest {
    return toInferRequest(this.#message, manifest);
  }

  answer(request: InferRequest, outputs: ReadonlyMap<string, Tensor>, from: Provenance): void {
    writer.reset();
    const tensors = writeInferResponse(writer, request, outputs, from);
    this.#sink.answered(frameMessage(writer, tensors, this.#sink.wrapper));
  }

  refuse(error: unknown): void {
    this.#sink.refused(error);
  }
}
