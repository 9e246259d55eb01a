import type { EgressCount } from '../../../protocol/ledger.ts';
import { JsonPost } from '../outbound/json-post.ts';
import { otlpJson, type Resource } from './otlp-json.ts';
import type { Span } from './span.ts';

/** Spans that wait; about 2 MB. What comes beyond is dropped: an engine's memory is for models. */
export const MAX_WAITING_SPANS = 4096;
/** Spans of one message; some 200 KB. */
export const MAX_BATCH_SPANS = 512;
const INTERVAL_MS = 1_000;
const EXPORT_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 1_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export interface ExporterOptions {
  /** Where traces are posted, as OTLP/HTTP: `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string;
  readonly resource: Resource;
  readonly version: string;
}

export interface SpanCounts {
  exported: number;
  /** For want of room, and with messages that the endpoint did not take. */
  dropped: number;
}

/** Posts spans as OTLP/JSON, one message at a time and off the path of requests; never waits for its endpoint. */
export class SpanExporter {
  readonly counts: SpanCounts = { exported: 0, dropped: 0 };
  readonly #options: ExporterOptions;
  readonly #post: JsonPost;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#post = new JsonPost(new URL(options.url), {
      connections: 1,
      calls: 1,
      answerBytes: MAX_ANSWER_BYTES,
    });
  }

  add(span: Span): void {
    if (this.#waiting.length >= MAX_WAITING_SPANS) {
      this.counts.dropped += 1;
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= MAX_BATCH_SPANS) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), INTERVAL_MS).unref();
  }

  #send(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#sending !== null || this.#waiting.length === 0) return;
    this.#sending = this.#sendOne().then(() => {
      this.#sending = null;
      // What came meanwhile waits for its own moment, unless it is a whole message.
      if (this.#waiting.length >= MAX_BATCH_SPANS) this.#send();
      else if (this.#waiting.length > 0) {
        this.#timer ??= setTimeout(() => this.#send(), INTERVAL_MS).unref();
      }
    });
  }

  async #sendOne(): Promise<void> {
    const batch = this.#waiting.slice(0, MAX_BATCH_SPANS);
    this.#waiting = this.#waiting.slice(MAX_BATCH_SPANS);
    const { resource, version } = this.#options;
    const body = otlpJson(batch, resource, version, performance.timeOrigin);
    const taken = await this.#post.post(body, {}, EXPORT_TIMEOUT_MS).then(
      ({ status }) => status >= 200 && status < 300,
      () => false,
    );
    this.counts[taken ? 'exported' : 'dropped'] += batch.length;
  }

  /** What left for the endpoint so far. */
  get sent(): EgressCount {
    return this.#post.sent;
  }

  /** Sends what waits, for a second at most; the rest is dropped. */
  async stop(): Promise<void> {
    let expired = false;
    let expire: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      expire = setTimeout(() => {
        expired = true;
        resolve();
      }, STOP_TIMEOUT_MS);
    });
    while (!expired && (this.#waiting.length > 0 || this.#sending !== null)) {
      this.#send();
      await Promise.race([this.#sending, late]);
    }
    clearTimeout(expire);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.counts.dropped += this.#waiting.length;
    this.#waiting = [];
    this.#post.close();
  }
}
