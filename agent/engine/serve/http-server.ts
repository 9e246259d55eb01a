import { createServer, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import type { InferHandler } from './infer-handler.ts';

const MODELS = '/v2/models/';
const INFER = '/infer';
const VERSIONS = '/versions/';

/** A client that sends its headers slower than this is not a client (slowloris). */
const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 120_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

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
export function createHttpServer(infer: InferHandler, app: Hono): Server {
  const rest = getRequestListener(app.fetch);
  const server = createServer((req, res) => {
    const target = req.method === 'POST' ? parseInferPath(req.url ?? '') : null;
    if (target === null) rest(req, res);
    else infer.handle(target.model, target.version, req, res);
  });
  server.on('clientError', refuseConnection);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  return server;
}

const STATUS_OF_PARSE_ERROR: ReadonlyMap<string, string> = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);

/** Bytes that are no HTTP request: node would answer them with an empty body. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
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
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** `/v2/models/{m}[/versions/{v}]/infer`, percent-decoded; null for any other path. */
export function parseInferPath(url: string): { model: string; version: string | null } | null {
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
