import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Digest } from '../../protocol/ids.ts';
import { messageOf, Refusal } from '../error.ts';
import { retryAfterMs } from './retry-after.ts';
import type { Source } from './source.ts';

/** A server that stops sending for this long has gone; what came so far is kept for the next attempt. */
const STALL_TIMEOUT_MS = 15_000;
/** A control plane that has been busy for so long has another problem than a wave, and its operator wants to see it. */
const MAX_BUSY_MS = 1_800_000;

/** Bytes of an artifact, or with `part` of what describes it. */
export interface Asked {
  readonly source: Source;
  readonly digest: Digest;
  /** Behind the artifact's own path: '' for its bytes. */
  readonly part: '' | '/chunks';
  /** Both ends included; `last` null: to the end. Null: all, without a range. */
  readonly range: { readonly first: number; readonly last: number | null } | null;
  readonly signal: AbortSignal;
  /** Bytes of this host that a request carries. */
  onRequest?(bytes: number): void;
}

/** The control plane has answered, and not with bytes. */
export class AnsweredOtherwise extends Refusal {
  readonly status: number;
  constructor(name: string, status: number) {
    super('artifact-unavailable', `download of ${name}: the control plane answered ${status}`);
    this.name = 'AnsweredOtherwise';
    this.status = status;
  }
}

export interface Answer {
  /** Where in the file the body begins: 0 of a server that ignores ranges. */
  readonly start: number;
  /** Where in the file the body ends; null where the server does not say. */
  readonly end: number | null;
  /** Of the whole file; null where the server does not say. */
  readonly totalBytes: number | null;
  /** Throws `Refusal` 'artifact-unavailable' when it breaks off. */
  readonly body: AsyncIterable<Buffer>;
  close(): void;
}

/**
 * Asks for bytes. While the control plane says that it is busy, and when to come back, this waits and asks again.
 * Throws `Refusal` 'artifact-unavailable'.
 */
export async function ask(asked: Asked, stallMs = STALL_TIMEOUT_MS): Promise<Answer> {
  for (let waitedMs = 0; ; ) {
    const response = await send(asked, stallMs);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200 || statusCode === 206) return answerOf(asked, response, stallMs);
    response.destroy();
    const busy = statusCode === 503 || statusCode === 429;
    const waitMs = busy ? retryAfterMs(headers['retry-after'], Date.now()) : null;
    if (waitMs === null || waitedMs + waitMs > MAX_BUSY_MS) {
      throw new AnsweredOtherwise(nameOf(asked), statusCode);
    }
    waitedMs += waitMs;
    await sleep(waitMs, null, { signal: asked.signal }).catch((cause: unknown) => {
      throw unavailable(asked, cause, 'given up while the control plane was busy');
    });
  }
}

function send(asked: Asked, stallMs: number): Promise<IncomingMessage> {
  const { source, digest, part, range, signal } = asked;
  const url = new URL(`/api/v1/artifacts/${digest}${part}`, source.url);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const wanted = range === null ? {} : { range: `bytes=${range.first}-${range.last ?? ''}` };
  asked.onRequest?.(url.pathname.length + (wanted.range ?? '').length);
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${source.token}`, ...wanted };
    const req = request(url, { signal, timeout: stallMs, headers }, resolve);
    req.on('timeout', () => req.destroy(new Error(`no data for ${stallMs} ms`)));
    req.on('error', (cause) => reject(unavailable(asked, cause, cause.message)));
    req.end();
  });
}

function answerOf(asked: Asked, response: IncomingMessage, stallMs: number): Answer {
  const answer = {
    body: bodyOf(asked, response, stallMs),
    close: () => {
      response.destroy();
    },
  };
  const { statusCode, headers } = response;
  if (statusCode === 200) {
    const said = headers['content-length'];
    const length = said === undefined ? null : Number(said);
    return { ...answer, start: 0, end: length, totalBytes: length };
  }
  const said = headers['content-range'];
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(said ?? '') ?? [];
  const end = asked.range?.last ?? Number(total) - 1;
  const fits = Number(first) === asked.range?.first && Number(last) === end;
  if (!fits || Number(last) >= Number(total)) {
    response.destroy();
    const wanted = `bytes ${asked.range?.first}-${asked.range?.last ?? ''}`;
    const told = said === undefined ? 'no Content-Range' : `"${said}"`;
    throw unavailable(asked, null, `was asked for ${wanted}, and answered with ${told}`);
  }
  return { ...answer, start: Number(first), end: Number(last) + 1, totalBytes: Number(total) };
}

/** The stall clock stands still while the reader holds a piece: then it is this host that keeps the server waiting. */
async function* bodyOf(
  asked: Asked,
  response: IncomingMessage,
  stallMs: number,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      // Behind its end the connection may be another request's already.
      if (!response.readableEnded) response.setTimeout(0);
      yield chunk;
      if (!response.complete) response.setTimeout(stallMs);
    }
  } catch (cause) {
    throw unavailable(asked, cause, `broke off: ${messageOf(cause)}`);
  }
}

function nameOf({ digest, part }: Asked): string {
  return part === '' ? digest : `the chunks of ${digest}`;
}

function unavailable(asked: Asked, cause: unknown, what: string): Refusal {
  return new Refusal('artifact-unavailable', `download of ${nameOf(asked)}: ${what}`, { cause });
}
