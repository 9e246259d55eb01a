import type { BatchTimes } from '../model/batch-job.ts';
import type { AttributeValue, Span, SpanKind } from './span.ts';
import { newSpanId } from './span-ids.ts';
import { type TraceContext, traceHeaders } from './trace-context.ts';

/** Which version answered what. */
export interface AnsweredTrace {
  readonly rows: number;
  readonly decision: string;
  readonly times: BatchTimes;
  /** When the model's inputs were there. */
  readonly parsedMs: number;
}

export interface TracedArm {
  readonly model: string;
  readonly version: number;
  readonly arm: string;
}

interface Own {
  readonly name: string;
  readonly kind: SpanKind;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly error: string | null;
}

/** The spans of one sampled request: `infer {deployment}` and, below it, `features`, `queue` and `compute`. */
export class RequestTrace {
  readonly #deployment: string;
  readonly #startedMs: number;
  readonly #parent: Pick<TraceContext, 'traceId' | 'tracestate'> & {
    readonly spanId: string | null;
  };
  readonly #spanId = newSpanId();
  readonly #add: (span: Span) => void;
  #arm: Readonly<Record<string, AttributeValue>> = {};
  #features: { readonly spanId: string; readonly startedMs: number } | null = null;
  #ended = false;

  constructor(
    deployment: string,
    startedMs: number,
    parent: Pick<TraceContext, 'traceId' | 'tracestate'> & { readonly spanId: string | null },
    add: (span: Span) => void,
  ) {
    this.#deployment = deployment;
    this.#startedMs = startedMs;
    this.#parent = parent;
    this.#add = add;
  }

  answeredBy(model: string, version: number, arm: string): void {
    this.#arm = {
      'driftline.model': model,
      'driftline.version': version,
      'driftline.arm': arm,
    };
  }

  /** Headers for a call of the feature server, whose span begins now. */
  fetching(nowMs: number): Record<string, string> {
    const spanId = newSpanId();
    this.#features = { spanId, startedMs: nowMs };
    const { traceId, tracestate } = this.#parent;
    return traceHeaders({ traceId, spanId, sampled: true, tracestate });
  }

  /** `error`: the code of a failure, or null. */
  fetched(endedMs: number, error: string | null, defaulted: number): void {
    if (this.#features === null) return;
    const { spanId, startedMs } = this.#features;
    const attributes = { 'driftline.features_defaulted': defaulted, ...errorType(error) };
    this.#child(
      { name: 'features', kind: 'client', startedMs, endedMs, attributes, error },
      spanId,
    );
  }

  answered({ rows, decision, times, parsedMs }: AnsweredTrace, endedMs: number): void {
    const { startedMs: computingMs, endedMs: computedMs, batchRows } = times;
    const plain = { kind: 'internal', attributes: {}, error: null } as const;
    this.#child(
      { ...plain, name: 'queue', startedMs: parsedMs, endedMs: computingMs },
      newSpanId(),
    );
    this.#child(
      {
        ...plain,
        name: 'compute',
        startedMs: computingMs,
        endedMs: computedMs,
        attributes: { 'driftline.batch_rows': batchRows },
      },
      newSpanId(),
    );
    this.#end(endedMs, { 'driftline.rows': rows, 'driftline.decision_id': decision }, null);
  }

  /** `code`: as the client was told. */
  refused(code: string, message: string, endedMs: number): void {
    this.#end(endedMs, errorType(code), message.slice(0, 200));
  }

  #end(endedMs: number, attributes: Own['attributes'], error: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const { traceId, spanId, tracestate } = this.#parent;
    this.#add({
      ...{ traceId, tracestate, spanId: this.#spanId, parentId: spanId },
      name: `infer ${this.#deployment}`,
      kind: 'server',
      startedMs: this.#startedMs,
      endedMs,
      attributes: { 'driftline.deployment': this.#deployment, ...this.#arm, ...attributes },
      error,
    });
  }

  #child(own: Own, spanId: string): void {
    const { traceId, tracestate } = this.#parent;
    this.#add({ traceId, tracestate, spanId, parentId: this.#spanId, ...own });
  }
}

function errorType(code: string | null): Record<string, string> {
  return code === null ? {} : { 'error.type': code };
}
