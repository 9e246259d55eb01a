import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { Agent as HttpsAgent, request as secureRequest } from 'node:https';
import type { Readable } from 'node:stream';
import type { ClientConfig } from './config.ts';
import { CliError } from './error.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/** Longer than the longest answer (a tuning, 90 s), so that this side never hangs for ever. */
const TIMEOUT_MS = 120_000;

/**
 * The control plane's API as commands use it. node:http and no validation of answers: `rollback`
 * must start fast, and CLI and control plane are one package.
 */
export class Client {
  readonly url: string;
  readonly #token: string | null;
  readonly #agent: HttpAgent;

  constructor(config: ClientConfig) {
    this.url = config.url;
    this.#token = config.token;
    this.#agent = config.url.startsWith('https:')
      ? new HttpsAgent({ keepAlive: true, ...readCa(config.caFile ?? null) })
      : new HttpAgent({ keepAlive: true });
  }

  /** Lets the process end without waiting for idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  get<T>(path: string): Promise<T> {
    return this.#json<T>('GET', path);
  }

  /** As `get`, with null for 404. */
  async find<T>(path: string): Promise<T | null> {
    const answer = await this.send('GET', path, {});
    return answer.status === 404 ? null : readJson<T>(this.#checked(answer));
  }

  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.#json<T>('POST', path, body);
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#json<T>('PUT', path, body);
  }

  /** Null where the answer has no body. */
  async delete<T>(path: string): Promise<T> {
    const answer = this.#checked(await this.send('DELETE', path, {}));
    return readJson<T>(answer.status === 204 ? { ...answer, body: 'null' } : answer);
  }

  /** Every item of a paged list. */
  async list<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const url: string = cursor === null ? path : withQuery(path, 'cursor', cursor);
      const page: { items: T[]; next: string | null } = await this.get(url);
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    return items;
  }

  /** Any request; answers of any status. Throws `CliError` when there is no answer. */
  send(
    method: Method,
    path: string,
    headers: Record<string, string | number>,
    body: Readable | string | null = null,
  ): Promise<Answer> {
    const url = new URL(this.url + path);
    const authorization = this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
    const options: RequestOptions = {
      method,
      agent: this.#agent,
      headers: { ...authorization, ...headers },
      timeout: TIMEOUT_MS,
    };
    return new Promise((resolve, reject) => {
      const fail = (cause: Error) => reject(unreachable(this.url, cause));
      const sent = (url.protocol === 'https:' ? secureRequest : request)(url, options);
      sent.on('error', fail);
      sent.on('timeout', () => sent.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => {
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, body: Buffer.concat(chunks).toString('utf8') });
        });
      });
      if (body === null || typeof body === 'string') {
        sent.end(body ?? undefined);
        return;
      }
      body.on('error', (error) => sent.destroy(error));
      body.pipe(sent);
    });
  }

  async #json<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const text = body === undefined ? null : JSON.stringify(body);
    const headers: Record<string, string | number> = {};
    if (text !== null) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = Buffer.byteLength(text);
    }
    return readJson<T>(this.#checked(await this.send(method, path, headers, text)));
  }

  #checked(answer: Answer): Answer {
    if (answer.status >= 400) throw this.problem(answer);
    return answer;
  }

  /** What a refusal says, and what to do about it. */
  problem({ status, body }: Answer): CliError {
    const detail = detailOf(body) ?? `${this.url} answered with status ${status}`;
    const hint = this.#hint(status);
    return new CliError('failed', hint === null ? detail : `${detail}\n${hint}`, { status });
  }

  #hint(status: number): string | null {
    if (status === 401 && this.#token === null) {
      return 'export DRIFTLINE_TOKEN=dlt_… : the token that the first start of the control plane printed';
    }
    if (status === 401) return `check DRIFTLINE_TOKEN: ${this.url} does not know it`;
    if (status === 403) return 'use the token of somebody who may';
    return null;
  }
}

function readCa(file: string | null): { ca?: Buffer } {
  if (file === null) return {};
  try {
    return { ca: readFileSync(file) };
  } catch (cause) {
    throw new CliError('usage', `DRIFTLINE_CA is "${file}", which cannot be read`, { cause });
  }
}

function unreachable(url: string, cause: Error): CliError {
  const code = 'code' in cause ? String(cause.code) : cause.message;
  return new CliError(
    'failed',
    `no answer from the control plane at ${url} (${code})\nstart one with "driftline up", or set DRIFTLINE_URL`,
    { cause },
  );
}

function readJson<T>(answer: Answer): T {
  try {
    return JSON.parse(answer.body) as T;
  } catch (cause) {
    const start = answer.body.slice(0, 40);
    throw new CliError('failed', `not a Driftline control plane: it answered "${start}"`, {
      cause,
    });
  }
}

function detailOf(body: string): string | null {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    return typeof detail === 'string' ? detail : null;
  } catch {
    // Not from the control plane: a proxy's page, for example. The status says enough.
    return null;
  }
}

function withQuery(path: string, name: string, value: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`;
}
