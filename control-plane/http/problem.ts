import type { Context, ErrorHandler, NotFoundHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ProtocolError } from '../../protocol/error.ts';
import { ControlError, type ControlErrorKind } from '../error.ts';
import type { HttpEnv } from './auth.ts';

const PROBLEMS: Record<ControlErrorKind, { status: number; title: string }> = {
  invalid: { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'A valid token is needed' },
  forbidden: { status: 403, title: 'This token may not do that' },
  'not-found': { status: 404, title: 'There is no such thing' },
  conflict: { status: 409, title: 'The present state does not allow this' },
  'too-large': { status: 413, title: 'Too large' },
  range: { status: 416, title: 'The range does not fit' },
  residency: { status: 451, title: 'It may not leave its jurisdiction' },
  misdirected: { status: 421, title: 'Not the host that was asked for' },
  'digest-mismatch': { status: 422, title: 'The bytes do not have this digest' },
  'artifact-missing': { status: 422, title: 'A file has not been uploaded' },
  'model-refused': { status: 422, title: 'The version is refused' },
  unavailable: { status: 503, title: 'Not available at the moment' },
};

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  kind: z.string(),
});

/** Problem details of RFC 9457. `kind` is closed; `detail` is for people. */
function problem(status: number, kind: string, title: string, detail: string): Response {
  const type = `urn:driftline:problem:${kind}`;
  const headers = new Headers({ 'content-type': 'application/problem+json' });
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="driftline"');
  return new Response(JSON.stringify({ type, title, status, detail, kind }), { status, headers });
}

/** Turns what a handler throws into a problem. What nobody foresaw is logged and says nothing outside. */
export function onError(log: Logger): ErrorHandler<HttpEnv> {
  return (error, c) => finish(c, log, error);
}

export const onNotFound: NotFoundHandler<HttpEnv> = (c) =>
  withHeaders(
    c,
    problem(
      404,
      'not-found',
      PROBLEMS['not-found'].title,
      `no route ${c.req.method} ${c.req.path}`,
    ),
  );

function finish(c: Context<HttpEnv>, log: Logger, error: Error): Response {
  if (error instanceof ControlError) {
    const { status, title } = PROBLEMS[error.kind];
    return withHeaders(c, problem(status, error.kind, title, error.message));
  }
  if (error instanceof ProtocolError) {
    return withHeaders(c, problem(400, 'invalid', PROBLEMS.invalid.title, error.message));
  }
  // Hono's own refusals: JSON that does not parse, another content type.
  if (error instanceof HTTPException && error.status < 500) {
    return withHeaders(c, problem(error.status, 'invalid', PROBLEMS.invalid.title, error.message));
  }
  log.error({ err: error, method: c.req.method, path: c.req.path }, 'request-failed');
  const detail = 'an unexpected error; the control plane has logged it';
  return withHeaders(c, problem(500, 'internal', 'The control plane failed', detail));
}

/** Headers that handlers and middleware had set before the error, `Content-Range` for example. */
function withHeaders(c: Context<HttpEnv>, response: Response): Response {
  for (const [name, value] of Object.entries(c.get('problemHeaders') ?? {})) {
    response.headers.set(name, value);
  }
  return response;
}
