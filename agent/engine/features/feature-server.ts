import type { EgressCount } from '../../../protocol/ledger.ts';
import { JsonPost, PostError } from '../outbound/json-post.ts';
import { OipError } from '../serve/oip-error.ts';

/** A server answers in 2 to 4 ms: 32 connections are some thousand calls per second. */
const MAX_CONNECTIONS = 32;
/** Calls that wait or run; beyond, waiting longer would only make each of them late. */
const MAX_CALLS = 256;
/** 256 rows of 256 features. Parsing as much takes about 30 ms, an ordinary answer far below 1. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** Of what a server says of its failure: enough to recognise it. */
const SHOWN_CHARACTERS = 200;

const PATH = 'get-online-features';

/** One Feast feature server, as this host's operator named it. */
export class FeatureServer {
  readonly name: string;
  readonly #post: JsonPost;

  /** `url`: where the server answers; its path, if any, is kept. It may hold a user and a password. */
  constructor(name: string, url: URL) {
    const base = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`;
    const endpoint = new URL(url);
    endpoint.pathname = base + PATH;
    this.name = name;
    this.#post = new JsonPost(endpoint, {
      connections: MAX_CONNECTIONS,
      calls: MAX_CALLS,
      answerBytes: MAX_ANSWER_BYTES,
    });
  }

  /**
   * The body of a good answer. Rejects with `OipError`: 'deadline_exceeded', 'overloaded', 'feature_server_failed'.
   * Errors name the server, never its address, which is the operator's own.
   */
  async ask(
    body: string,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
  ): Promise<Buffer> {
    let answer: { status: number; body: Buffer };
    try {
      answer = await this.#post.post(body, headers, timeoutMs);
    } catch (error) {
      throw this.#refusal(error);
    }
    if (answer.status === 200) return answer.body;
    const said = answer.body.toString('utf8', 0, SHOWN_CHARACTERS * 4).slice(0, SHOWN_CHARACTERS);
    throw this.failed(`answered ${answer.status}: ${said}`);
  }

  /** What it was asked so far. */
  get sent(): EgressCount {
    return this.#post.sent;
  }

  failed(what: string, cause?: unknown): OipError {
    return new OipError('feature_server_failed', `feature server "${this.name}" ${what}`, {
      cause,
    });
  }

  #refusal(error: unknown): OipError {
    if (!(error instanceof PostError)) return this.failed('could not be asked', error);
    const who = `feature server "${this.name}"`;
    switch (error.kind) {
      case 'timeout':
        return new OipError('deadline_exceeded', `${who} gave ${error.message}`, { cause: error });
      case 'busy':
        return new OipError('overloaded', `${who}: ${error.message}`, { retryAfterSeconds: 1 });
      case 'too-large':
        return this.failed(`gave ${error.message}`, error);
      case 'down':
        return this.failed(`cannot be reached: ${codeOf(error)}`, error);
    }
  }

  close(): void {
    this.#post.close();
  }
}

/** `ECONNREFUSED` rather than the text around it, which holds the address. */
function codeOf({ cause, message }: PostError): string {
  const code: unknown = typeof cause === 'object' && cause !== null && Reflect.get(cause, 'code');
  return typeof code === 'string' ? code : message;
}
