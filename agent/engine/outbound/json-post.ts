import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  request as requestHttp,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

export interface PostLimits {
  /** Connections to the server at once; more calls wait for one of them, within their own time. */
  readonly connections: number;
  /** Calls on their way or waiting for a connection; one more fails at once. */
  readonly calls: number;
  readonly answerBytes: number;
}

export interface PostAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** `busy`: too many calls wait already. `timeout`: no whole answer in time. `too-large`, and `down` for all else. */
export type PostFailure = 'busy' | 'timeout' | 'too-large' | 'down';

export class PostError extends Error {
  readonly kind: PostFailure;
  constructor(kind: PostFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PostError';
    this.kind = kind;
  }
}

type Headers = Readonly<Record<string, string>>;

/** Connections that are kept open although nobody uses them, and for how long. */
const MAX_IDLE_CONNECTIONS = 8;
const IDLE_MS = 15_000;

/** Posts JSON to one address over few, kept connections. Never follows a redirect. */
export class JsonPost {
  readonly #url: URL;
  readonly #limits: PostLimits;
  readonly #agent: HttpAgent;
  #calls = 0;
  /** Bodies handed to the network, those of repeated calls included. */
  readonly sent = { messages: 0, bytes: 0 };

  constructor(url: URL, limits: PostLimits) {
    const options = {
      keepAlive: true,
      maxSockets: limits.connections,
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
      // The connection used last is the least likely to be closed by now.
      scheduling: 'lifo' as const,
      timeout: IDLE_MS,
    };
    this.#url = url;
    this.#limits = limits;
    this.#agent = url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /**
   * The whole answer, whatever its status. A kept connection that the server closed before any of the answer came is
   * replaced once: servers restart their workers. Rejects with `PostError`. `timeoutMs` holds for all of it.
   */
  async post(body: string, headers: Headers, timeoutMs: number): Promise<PostAnswer> {
    if (this.#calls >= this.#limits.calls) {
      throw new PostError('busy', `${this.#calls} calls are on their way already`);
    }
    this.#calls += 1;
    const deadlineMs = performance.now() + timeoutMs;
    try {
      return await this.#once(body, headers, timeoutMs);
    } catch (error) {
      const leftMs = deadlineMs - performance.now();
      if (!(error instanceof ClosedEarly) || leftMs <= 0) throw error;
      return await this.#once(body, headers, leftMs);
    } finally {
      this.#calls -= 1;
    }
  }

  #once(body: string, headers: Headers, timeoutMs: number): Promise<PostAnswer> {
    return new Promise((resolve, reject) => {
      const size = Buffer.byteLength(body);
      this.sent.messages += 1;
      this.sent.bytes += size;
      const send = this.#url.protocol === 'https:' ? requestHttps : requestHttp;
      const outgoing = send(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: {
          ...headers,
          'content-type': 'application/json',
          'content-length': size,
        },
      });
      const fail = (error: PostError) => {
        clearTimeout(timer);
        outgoing.destroy();
        reject(error);
      };
      const timer = setTimeout(() => {
        fail(new PostError('timeout', `no answer within ${Math.ceil(timeoutMs)} ms`));
      }, timeoutMs);
      outgoing.on('error', (cause: NodeJS.ErrnoException) => fail(failureOf(outgoing, cause)));
      outgoing.on('response', (incoming) => {
        collect(incoming, this.#limits.answerBytes, fail, (answer) => {
          clearTimeout(timer);
          resolve(answer);
        });
      });
      outgoing.end(body);
    });
  }

  /** Closes connections; what is on its way fails. */
  close(): void {
    this.#agent.destroy();
  }
}

/** Nothing of an answer had come on a connection that had served before. */
class ClosedEarly extends PostError {
  constructor(cause: Error) {
    super('down', `the connection was closed: ${cause.message}`, { cause });
    this.name = 'ClosedEarly';
  }
}

function failureOf(outgoing: ClientRequest, cause: NodeJS.ErrnoException): PostError {
  const closed = cause.code === 'ECONNRESET' || cause.code === 'EPIPE';
  if (closed && outgoing.reusedSocket) return new ClosedEarly(cause);
  // An AggregateError of several addresses has no message of its own.
  const told = cause.message === '' ? (cause.code ?? 'unreachable') : cause.message;
  return new PostError('down', told, { cause });
}

function collect(
  incoming: IncomingMessage,
  mostBytes: number,
  fail: (error: PostError) => void,
  done: (answer: PostAnswer) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  incoming.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > mostBytes) {
      fail(new PostError('too-large', `an answer of more than the ${mostBytes} bytes allowed`));
    } else chunks.push(chunk);
  });
  incoming.on('end', () => done({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks) }));
  incoming.on('error', (cause) => {
    fail(new PostError('down', `the answer was cut off: ${cause.message}`, { cause }));
  });
}
