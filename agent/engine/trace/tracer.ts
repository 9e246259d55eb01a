import type { EgressCount } from '../../../protocol/ledger.ts';
import { RequestTrace } from './request-trace.ts';
import { type SpanCounts, SpanExporter } from './span-exporter.ts';
import { newTraceId } from './span-ids.ts';
import { parseTraceparent, type TraceHeaders } from './trace-context.ts';

export interface TraceOptions {
  /** OTLP/HTTP endpoint for JSON. */
  readonly url: string;
  /** Share of requests without a trace of their own that begin one; 0 to 1. */
  readonly sample: number;
}

/** What is known of a request before anything of it has been looked at. */
export interface TracedCall {
  readonly deployment: string;
  /** On the clock of `performance.now()`. */
  readonly startedMs: number;
  /** As its transport has them; null without `traceparent`. */
  trace(): TraceHeaders | null;
}

/** Names of clients' choosing are written into spans. */
const MAX_NAME_CHARACTERS = 128;

/** Decides which requests are traced: those whose caller is, and a share of those that come without a trace. */
export class Tracer {
  readonly #sample: number;
  readonly #exporter: SpanExporter;

  constructor(options: TraceOptions, version: string, ordinal: number) {
    this.#sample = options.sample;
    this.#exporter = new SpanExporter({
      url: options.url,
      version,
      resource: {
        'service.name': 'driftline-agent',
        'service.version': version,
        'driftline.engine': ordinal,
        'process.pid': process.pid,
      },
    });
  }

  /** Null: this request is not traced. */
  begin(call: TracedCall): RequestTrace | null {
    const headers = call.trace();
    const parent = headers === null ? null : parseTraceparent(headers);
    if (parent === null ? Math.random() >= this.#sample : !parent.sampled) return null;
    return new RequestTrace(
      call.deployment.slice(0, MAX_NAME_CHARACTERS),
      call.startedMs,
      parent ?? { traceId: newTraceId(), spanId: null, tracestate: null },
      (span) => this.#exporter.add(span),
    );
  }

  get sent(): EgressCount {
    return this.#exporter.sent;
  }

  get counts(): Readonly<SpanCounts> {
    return this.#exporter.counts;
  }

  /** Sends what waits, for a second at most. */
  stop(): Promise<void> {
    return this.#exporter.stop();
  }
}
