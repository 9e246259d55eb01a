import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Inference } from '../inference.ts';
import type { OipError } from '../oip-error.ts';
import { isOver, sendEnd, sendHeaders, sendRefusal } from './grpc-answer.ts';
import { type AnswerSink, GrpcInferCall } from './grpc-call.ts';
import { type Received, type ReceiveLimits, receive } from './grpc-receive.ts';
import { type InferMessage, readInferMessage } from './infer-message.ts';
import { frameMessage } from './message-frame.ts';
import { ProtoWriter } from './proto-writer.ts';
import { refusalOf, timeoutUsOf } from './status.ts';

/** Requests of one stream on their way; beyond, the client is held back by HTTP/2's flow control. */
const MAX_ON_THEIR_WAY = 64;

/** `ModelStreamInferResponse.infer_response`. */
const INFER_RESPONSE = 2;
const ERROR_MESSAGE = 1;

const writer = new ProtoWriter();

/**
 * `ModelStreamInfer`: requests are computed beside each other and answered in the order in which they came. A request
 * that fails is answered by an `error_message` with its id, and the stream goes on; with the metadata
 * `triton_grpc_error: true` it ends the stream with a status instead.
 */
export class InferStream {
  readonly #inference: Pick<Inference, 'infer'>;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #deadlineMs: number;
  readonly #endsOnError: boolean;
  /** In the order of their requests; the first is the next to be written. */
  readonly #places: Place[] = [];
  /** How the stream ends once every place is answered; null while requests may come. */
  #end: { readonly error: OipError | null } | null = null;
  #writable = true;

  private constructor(
    inference: Pick<Inference, 'infer'>,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ) {
    const timeoutUs = timeoutUsOf(headers['grpc-timeout'] as string | undefined);
    this.#inference = inference;
    this.#stream = stream;
    this.#headers = headers;
    this.#deadlineMs =
      timeoutUs === null ? Number.POSITIVE_INFINITY : performance.now() + timeoutUs / 1000;
    this.#endsOnError = headers.triton_grpc_error === 'true';
  }

  /** Throws 'bad_request' for a `grpc-timeout` that is none. */
  static serve(
    inference: Pick<Inference, 'infer'>,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    limits: ReceiveLimits,
  ): void {
    const served = new InferStream(inference, stream, headers);
    sendHeaders(stream);
    stream.on('drain', () => served.#drained());
    receive(stream, headers, limits, {
      message: (received) => served.#received(received),
      end(error) {
        served.#end = { error };
        served.#flush();
      },
    });
  }

  #received(received: Received): void {
    const place = new Place(this.#stream, () => this.#flush());
    this.#places.push(place);
    this.#hold();
    const startedMs = performance.now();
    if (received instanceof Promise) {
      received
        .then(({ bytes, release }) => {
          place.release = release;
          this.#infer(bytes, startedMs, place);
        })
        .catch((error: unknown) => place.refused(error));
    } else this.#infer(received, startedMs, place);
  }

  #infer(bytes: Buffer, startedMs: number, place: Place): void {
    let message: InferMessage;
    try {
      message = readInferMessage(bytes);
    } catch (error) {
      place.refused(error);
      return;
    }
    place.id = message.id;
    const leftUs = Math.max(1, Math.round((this.#deadlineMs - startedMs) * 1000));
    const timeoutUs = Number.isFinite(leftUs) ? leftUs : null;
    const call = new GrpcInferCall(message, startedMs, timeoutUs, this.#headers, place);
    this.#inference.infer(call);
  }

  #flush(): void {
    const stream = this.#stream;
    while (this.#places.length > 0 && !isOver(stream)) {
      const { outcome } = this.#places[0];
      if (outcome === null) break;
      this.#places.shift();
      if (outcome.kind === 'refused' && this.#endsOnError) {
        this.#places.length = 0;
        sendRefusal(stream, outcome.error);
        return;
      }
      const parts = outcome.kind === 'refused' ? errorMessage(outcome) : outcome.parts;
      for (const part of parts) this.#writable = stream.write(part);
    }
    this.#hold();
    if (this.#end === null || this.#places.length > 0) return;
    if (this.#end.error === null) sendEnd(stream);
    else sendRefusal(stream, this.#end.error);
  }

  #drained(): void {
    this.#writable = true;
    this.#hold();
  }

  /** Reads on only while answers are taken and not too many requests wait. */
  #hold(): void {
    const free = this.#writable && this.#places.length < MAX_ON_THEIR_WAY;
    if (free) this.#stream.resume();
    else this.#stream.pause();
  }
}

type Outcome =
  | { readonly kind: 'answered'; readonly parts: readonly Buffer[] }
  | { readonly kind: 'refused'; readonly error: unknown; readonly id: string };

/** A request's place in the order of answers. */
class Place implements AnswerSink {
  readonly wrapper = INFER_RESPONSE;
  id = '';
  outcome: Outcome | null = null;
  /** Frees what a packed message became, once nobody needs it. */
  release: (() => void) | null = null;
  readonly #stream: ServerHttp2Stream;
  readonly #settled: () => void;

  constructor(stream: ServerHttp2Stream, settled: () => void) {
    this.#stream = stream;
    this.#settled = settled;
  }

  gone(): boolean {
    const gone = isOver(this.#stream);
    if (gone) this.release?.();
    return gone;
  }

  answered(parts: readonly Buffer[]): void {
    this.release?.();
    this.outcome = { kind: 'answered', parts };
    this.#settled();
  }

  refused(error: unknown): void {
    this.release?.();
    this.outcome = { kind: 'refused', error, id: this.id };
    this.#settled();
  }
}

/** As Triton does it, the response beside the error holds nothing but the id. */
function errorMessage({ error, id }: Outcome & { kind: 'refused' }): Buffer[] {
  writer.reset();
  writer.text(ERROR_MESSAGE, refusalOf(error).message);
  const response = writer.begin(INFER_RESPONSE);
  if (id !== '') writer.text(3, id);
  writer.end(response);
  return frameMessage(writer);
}
