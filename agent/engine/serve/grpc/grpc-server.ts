import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Inference } from '../inference.ts';
import type { OipServer } from '../oip-app.ts';
import { OipError } from '../oip-error.ts';
import { sendAnswer, sendHttpStatus, sendRefusal } from './grpc-answer.ts';
import { checkHealth, HealthWatchers } from './grpc-health.ts';
import { InferStream } from './grpc-infer-stream.ts';
import { SessionLimits } from './grpc-limits.ts';
import { createMethods, type Method } from './grpc-methods.ts';
import type { ReceiveLimits } from './grpc-receive.ts';
import { handleInfer, receiveOne } from './grpc-unary.ts';
import { BodyBudget } from './message-assembler.ts';
import { frameMessage } from './message-frame.ts';
import { ProtoWriter } from './proto-writer.ts';

export interface GrpcOptions {
  readonly maxBodyBytes: number;
}

/** Messages of the largest size that one connection may have on their way to us at once. */
const MAX_LARGE_MESSAGES = 8;

const INFER = '/inference.GRPCInferenceService/ModelInfer';
const INFER_STREAM = '/inference.GRPCInferenceService/ModelStreamInfer';
const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';

/** `application/grpc`, with the encoding we speak or none named, and whatever parameters. */
const CONTENT_TYPE = /^application\/grpc(\+proto)?\s*(;|$)/i;

/** What serves a server's calls, and what ends with it. */
interface Served {
  readonly sessions: Set<ServerHttp2Session>;
  readonly watchers: HealthWatchers;
  readonly limits: SessionLimits;
}
const served = new WeakMap<Http2Server, Served>();

/**
 * `inference.GRPCInferenceService` and `grpc.health.v1.Health` on node's own HTTP/2, cleartext with prior knowledge.
 * Takes connections by `listen` and by `emit('connection', socket)`. To be ended by `closeGrpcServer`.
 */
export function createGrpcServer(
  inference: Pick<Inference, 'infer'>,
  server: OipServer,
  options: GrpcOptions,
): Http2Server {
  const limits = new SessionLimits(options.maxBodyBytes);
  const watchers = new HealthWatchers(server);
  const calls = new GrpcCalls(inference, server, watchers, limits);
  const http2 = createServer(limits.serverOptions);
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    limits.apply(session);
    const receiving = {
      maxBodyBytes: options.maxBodyBytes,
      budget: new BodyBudget(options.maxBodyBytes * MAX_LARGE_MESSAGES),
    };
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      calls.handle(stream, headers, receiving),
    );
  });
  // Bytes that are no HTTP/2, and connections that break: node has closed them, and nobody is left to be told.
  http2.on('sessionError', () => undefined);
  served.set(http2, { sessions, watchers, limits });
  return http2;
}

/** Tells every client to go elsewhere; connections end with the calls that are on them. */
export function closeIdleGrpc(http2: Http2Server): void {
  const { sessions, watchers } = served.get(http2) ?? {};
  watchers?.close();
  for (const session of sessions ?? []) if (!session.closed) session.close();
}

/** Takes no more calls, answers those on their way, and cuts off what is left after `graceMs`. */
export async function closeGrpcServer(http2: Http2Server, graceMs: number): Promise<void> {
  const { sessions, limits } = served.get(http2) ?? {};
  if (http2.listening) http2.close();
  limits?.stop();
  const open = [...(sessions ?? [])];
  const closed = open.map(
    (session) => new Promise<void>((resolve) => session.once('close', () => resolve())),
  );
  closeIdleGrpc(http2);
  const force = setTimeout(() => {
    for (const session of open) session.destroy();
  }, graceMs);
  await Promise.all(closed);
  clearTimeout(force);
}

/** Finds the method of each call. */
class GrpcCalls {
  readonly #inference: Pick<Inference, 'infer'>;
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #watchers: HealthWatchers;
  readonly #limits: SessionLimits;

  constructor(
    inference: Pick<Inference, 'infer'>,
    server: OipServer,
    watchers: HealthWatchers,
    limits: SessionLimits,
  ) {
    this.#inference = inference;
    this.#methods = new Map(createMethods(server)).set(CHECK, (message, writer) =>
      checkHealth(server, message, writer),
    );
    this.#watchers = watchers;
    this.#limits = limits;
  }

  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, receiving: ReceiveLimits): void {
    // A client that breaks off is no error of ours; `gone` sees it.
    stream.on('error', () => undefined);
    if (headers[':method'] !== 'POST') {
      sendHttpStatus(stream, 405, { allow: 'POST' });
      return;
    }
    if (!CONTENT_TYPE.test(headers['content-type'] ?? '')) {
      sendHttpStatus(stream, 415);
      return;
    }
    try {
      this.#route(stream, headers, receiving);
    } catch (error) {
      stream.resume();
      sendRefusal(stream, error);
    }
  }

  #route(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, receiving: ReceiveLimits): void {
    const path = headers[':path'];
    if (path === INFER_STREAM) {
      InferStream.serve(this.#inference, stream, headers, receiving);
      return;
    }
    const settled = this.#limits.await(stream);
    if (path === INFER) {
      handleInfer(this.#inference, stream, headers, receiving, settled);
      return;
    }
    if (path === WATCH) {
      receiveOne(stream, headers, receiving, settled, (message) => {
        try {
          this.#watchers.add(stream, message);
        } catch (error) {
          sendRefusal(stream, error);
        }
      });
      return;
    }
    const method = this.#methods.get(path ?? '');
    if (method === undefined) {
      throw new OipError('unknown_path', `unknown method "${path?.slice(0, 200)}"`);
    }
    receiveOne(
      stream,
      headers,
      receiving,
      settled,
      (message) => void answer(stream, method, message),
    );
  }
}

/** Each has a writer of its own: some wait for something while they write. */
async function answer(stream: ServerHttp2Stream, method: Method, message: Buffer): Promise<void> {
  try {
    const writer = new ProtoWriter();
    await method(message, writer);
    sendAnswer(stream, frameMessage(writer));
  } catch (error) {
    sendRefusal(stream, error);
  }
}
