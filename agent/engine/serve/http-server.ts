import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener, RequestError } from '@hono/node-server';
import type { Hono } from 'hono';
import { endConnection, refuseUnread } from './http-refusal.ts';
import type { InferHandler } from './infer-handler.ts';
import { OipError } from './oip-error.ts';

const MODELS = '/v2/models/';
const INFER = '/infer';
const VERSIONS = '/versions/';

/** In milliseconds. A client that takes longer for its headers, or for its whole request, is none (slowloris). */
export interface HttpTimeouts {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly keepAliveMs: number;
  /** How often connections are looked at: either of the first two may come so much later. */
  readonly lookMs: number;
}
const TIMEOUTS: HttpTimeouts = {
  headersMs: 15_000,
  requestMs: 120_000,
  keepAliveMs: 75_000,
  lookMs: 5_000,
};

/** What this server answers somewhere, for a question about the server as a whole (RFC 9110, section 9.3.7). */
const METHODS = 'GET, HEAD, POST';

/** Servers that take connections that were accepted elsewhere. */
const fed = new WeakSet<Server>();

/** Takes over a connection that was accepted elsewhere. */
export function acceptHttp(server: Server, connection: Socket): void {
  if (!fed.has(server)) {
    fed.add(server);
    // Node starts to keep its list of connections on this event alone, and without the list no timeout ends a request
    // and no connection is known to be idle. `close` stops it.
    if (!server.listening) server.emit('listening');
  }
  server.emit('connection', connection);
}

/** Answers what is in flight; connections that stay open longer than `graceMs` are closed. */
export async function closeHttpServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const force = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(force);
}

/** One node server: inference by string compare, everything else through Hono. */
export function createHttpServer(
  infer: InferHandler,
  app: Hono,
  timeouts: HttpTimeouts = TIMEOUTS,
): Server {
  // HTTP/1.0 needs no Host, and probes of load balancers send none.
  const rest = getRequestListener(app.fetch, { hostname: 'localhost', errorHandler });
  // Node would refuse a request without a Host itself, with an empty body.
  const options = { connectionsCheckingInterval: timeouts.lookMs, requireHostHeader: false };
  const server = createServer(options, (req, res) => {
    if (lacksHost(req)) {
      refuseUnread(req, res, new OipError('bad_request', 'HTTP/1.1 needs the header "Host"'));
      return;
    }
    const url = originForm(req.url ?? '');
    const target = req.method === 'POST' ? inferTarget(url) : null;
    if (target !== null) infer.handle(target.model, target.version, req, res);
    else if (url === '*' && req.method === 'OPTIONS') res.writeHead(204, { allow: METHODS }).end();
    else {
      req.url = url;
      rest(req, res);
    }
  });
  server.on('clientError', refuseConnection);
  server.on('checkExpectation', refuseExpectation);
  server.headersTimeout = timeouts.headersMs;
  server.requestTimeout = timeouts.requestMs;
  server.keepAliveTimeout = timeouts.keepAliveMs;
  return server;
}

/** RFC 9112, section 3.2. */
function lacksHost({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host === undefined && httpVersion === '1.1';
}

/** `Expect` with anything but `100-continue`. */
function refuseExpectation(req: IncomingMessage, res: ServerResponse): void {
  const what = `"Expect: ${String(req.headers.expect).slice(0, 100)}" can't be met; leave it out`;
  refuseUnread(req, res, new OipError('expectation_failed', what));
}

/** What never reached a route: a target or a Host that make no URL. */
function errorHandler(cause: unknown): Response {
  const { status, body } =
    cause instanceof RequestError
      ? new OipError('bad_request', `not a valid HTTP request: ${cause.message}`, { cause })
      : new OipError('model_failed', 'internal error', { cause });
  return new Response(body, { status, headers: { 'content-type': 'application/json' } });
}

const STATUS_OF_PARSE_ERROR: ReadonlyMap<string, string> = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);

/** Bytes that are no HTTP request: node would answer them with an empty body. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  // More of what has been answered already.
  if (socket.writableEnded && error.code?.startsWith('HPE_')) return;
  const answered: unknown = Reflect.get(socket, '_httpMessage');
  const begun = answered instanceof ServerResponse && answered.headersSent;
  if (!socket.writable || begun || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_PARSE_ERROR.get(error.code ?? '') ?? '400 Bad Request';
  const body = JSON.stringify({
    error: `not a valid HTTP request: ${error.message}`,
    code: 'bad_request',
  });
  endConnection(
    socket,
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const SLASH = 0x2f;
const SCHEME_AND_AUTHORITY = /^https?:\/\/[^/?#]*/i;

/**
 * The path of a request target. One in absolute form, as clients send it to proxies, must be taken too (RFC 9112,
 * section 3.2.2).
 */
export function originForm(target: string): string {
  if (target.charCodeAt(0) === SLASH) return target;
  const path = target.replace(SCHEME_AND_AUTHORITY, '');
  return path === target || path.charCodeAt(0) === SLASH ? path : `/${path}`;
}

interface InferTarget {
  readonly model: string;
  readonly version: string | null;
}

/** Paths that were parsed before: clients ask for the same few over and over. */
const targets = new Map<string, InferTarget>();
const MAX_REMEMBERED_TARGETS = 256;

function inferTarget(url: string): InferTarget | null {
  const known = targets.get(url);
  if (known !== undefined) return known;
  const target = parseInferPath(url);
  if (target === null) return null;
  if (targets.size >= MAX_REMEMBERED_TARGETS) targets.clear();
  targets.set(url, target);
  return target;
}

/** `/v2/models/{m}[/versions/{v}]/infer`, percent-decoded; null for any other path. */
export function parseInferPath(url: string): InferTarget | null {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  if (!path.startsWith(MODELS) || !path.endsWith(INFER)) return null;
  const middle = path.slice(MODELS.length, -INFER.length);
  const at = middle.indexOf(VERSIONS);
  const model = at === -1 ? middle : middle.slice(0, at);
  const version = at === -1 ? null : middle.slice(at + VERSIONS.length);
  if (model === '' || model.includes('/') || version === '' || version?.includes('/')) return null;
  try {
    return {
      model: decodeURIComponent(model),
      version: version === null ? null : decodeURIComponent(version),
    };
  } catch {
    return null; // a broken percent escape names nothing
  }
}
