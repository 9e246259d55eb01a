import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { SUPPORTED_ENCODINGS } from './content-encoding.ts';
import { OipError } from './oip-error.ts';

/**
 * How long a refused client may go on sending before its connection is cut, and how much. Most clients read only when
 * they have sent everything, and unread bytes make the kernel reset the connection, which takes the answer with it.
 */
const LINGER_MS = 10_000;
const MAX_LINGER_BYTES = 512 * 1024 * 1024;

/** The same for bytes that are no HTTP: nobody sends many of them. */
const BROKEN_LINGER_MS = 1_000;

/** Names and values in turn: node takes them as they are, where an object would be walked and checked. */
export type Headers = (string | number)[];

export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** An error in the protocol's shape. */
export function refusalOf(error: unknown): Refusal {
  const known =
    error instanceof OipError
      ? error
      : new OipError('model_failed', 'internal error', { cause: error });
  const headers: Headers = ['Content-Type', 'application/json'];
  if (known.code === 'unsupported_encoding') headers.push('Accept-Encoding', SUPPORTED_ENCODINGS);
  if (known.retryAfterSeconds !== null) headers.push('Retry-After', known.retryAfterSeconds);
  return { status: known.status, headers, body: known.body };
}

/**
 * Refuses a request whose body has not been read to its end. The whole answer is written at once, but the connection
 * stays until the client has sent the rest, which is thrown away, or has used up its time.
 */
export function refuseUnread(req: IncomingMessage, res: ServerResponse, error: unknown): void {
  if (res.destroyed || res.headersSent) return;
  const { status, headers, body } = refusalOf(error);
  headers.push('Connection', 'close', 'Content-Length', Buffer.byteLength(body));
  res.writeHead(status, headers as string[]);
  res.write(body);
  let drained = 0;
  const end = () => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS).unref();
  res.once('close', () => clearTimeout(timer));
  if (req.readableEnded) {
    end();
    return;
  }
  // Whoever read before would keep what comes now.
  req.removeAllListeners('data');
  req.on('data', (chunk: Buffer) => {
    drained += chunk.length;
    if (drained > MAX_LINGER_BYTES) end();
  });
  req.once('end', end);
  req.resume();
}

/** Ends a connection with a last answer; what the client still sends is given a moment. */
export function endConnection(socket: Duplex, answer: string): void {
  socket.end(answer);
  // Its own half may stay open as long as the client likes.
  const timer = setTimeout(() => socket.destroy(), BROKEN_LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}
