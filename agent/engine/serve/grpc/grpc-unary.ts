import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Inference } from '../inference.ts';
import { OipError } from '../oip-error.ts';
import { isOver, sendAnswer, sendRefusal } from './grpc-answer.ts';
import { type AnswerSink, GrpcInferCall } from './grpc-call.ts';
import { type Received, type ReceiveLimits, receive } from './grpc-receive.ts';
import { readInferMessage } from './infer-message.ts';
import { timeoutUsOf } from './status.ts';

type Handle = (message: Buffer) => void;

/** What a message that was packed holds, to be called when it is needed no more; null for one that was not. */
type Release = (() => void) | null;

/**
 * Reads the one message of a call and handles it as soon as it is whole: waiting for the end of the stream would cost
 * a turn of the event loop. A second message is refused where it comes before the answer.
 */
export function receiveOne(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  limits: ReceiveLimits,
  settled: () => void,
  handle: Handle,
): void {
  receiveHeld(stream, headers, limits, settled, (message, release) => {
    handle(message);
    release?.();
  });
}

/** The same for who looks at the message for longer: `handle` must see to its release. Neither may throw. */
function receiveHeld(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  limits: ReceiveLimits,
  settled: () => void,
  handle: (message: Buffer, release: Release) => void,
): void {
  let message: Received | null = null;
  const begin = (received: Received) => {
    settled();
    if (received instanceof Promise) {
      received
        .then(({ bytes, release }) => handle(bytes, release))
        .catch((error: unknown) => sendRefusal(stream, error));
    } else handle(received, null);
  };
  receive(stream, headers, limits, {
    message(received) {
      if (message !== null) {
        // Nobody waits for it, nor for what was wrong with it.
        if (received instanceof Promise) {
          received.then(
            ({ release }) => release(),
            () => undefined,
          );
        }
        sendRefusal(stream, bad('the call takes one message and got more'));
        return;
      }
      message = received;
      begin(received);
    },
    end(error) {
      settled();
      if (error !== null) sendRefusal(stream, error);
      else if (message === null) sendRefusal(stream, bad('the call ended without a message'));
    },
  });
}

/** `ModelInfer`. */
export function handleInfer(
  inference: Pick<Inference, 'infer'>,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  limits: ReceiveLimits,
  settled: () => void,
): void {
  const startedMs = performance.now();
  const timeoutUs = timeoutUsOf(headers['grpc-timeout'] as string | undefined);
  receiveHeld(stream, headers, limits, settled, (bytes, release) => {
    const sink = new UnarySink(stream, release);
    let call: GrpcInferCall;
    try {
      call = new GrpcInferCall(readInferMessage(bytes), startedMs, timeoutUs, headers, sink);
    } catch (error) {
      sink.refused(error);
      return;
    }
    inference.infer(call);
  });
}

class UnarySink implements AnswerSink {
  readonly wrapper = null;
  readonly #stream: ServerHttp2Stream;
  readonly #release: Release;

  constructor(stream: ServerHttp2Stream, release: Release) {
    this.#stream = stream;
    this.#release = release;
  }

  gone(): boolean {
    const gone = isOver(this.#stream);
    if (gone) this.#release?.();
    return gone;
  }

  answered(parts: readonly Buffer[]): void {
    this.#release?.();
    sendAnswer(this.#stream, parts);
  }

  refused(error: unknown): void {
    this.#release?.();
    sendRefusal(this.#stream, error);
  }
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
