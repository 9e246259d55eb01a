import { type AttributeValue, SPAN_KIND, type Span } from './span.ts';

/** Whose spans they are, beside what is in them. */
export type Resource = Readonly<Record<string, AttributeValue>>;

const SCOPE = 'driftline';
const STATUS_ERROR = 2;
/** Set in OTLP's `flags` where a span was sampled; the bits beside it say that we know whether its parent is remote. */
const FLAGS = { sampled: 0x1, parentKnown: 0x100, parentRemote: 0x200 } as const;

/**
 * `ExportTraceServiceRequest` of OTLP 1 as its JSON encoding asks for it: ids in hex, 64-bit integers as text, enums as
 * numbers. `timeOriginMs`: the Unix time at which `performance.now()` was 0.
 */
export function otlpJson(
  spans: readonly Span[],
  resource: Resource,
  version: string,
  timeOriginMs: number,
): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [
          {
            scope: { name: SCOPE, version },
            spans: spans.map((span) => spanOf(span, timeOriginMs)),
          },
        ],
      },
    ],
  });
}

function spanOf(span: Span, timeOriginMs: number) {
  const remote = span.kind === 'server' ? FLAGS.parentRemote : 0;
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.tracestate === null ? {} : { traceState: span.tracestate }),
    ...(span.parentId === null ? {} : { parentSpanId: span.parentId }),
    flags: FLAGS.sampled | (span.parentId === null ? 0 : FLAGS.parentKnown | remote),
    name: span.name,
    kind: SPAN_KIND[span.kind],
    startTimeUnixNano: unixNano(timeOriginMs, span.startedMs),
    endTimeUnixNano: unixNano(timeOriginMs, span.endedMs),
    attributes: attributesOf(span.attributes),
    status: span.error === null ? {} : { code: STATUS_ERROR, message: span.error },
  };
}

/** In whole microseconds: nanoseconds since 1970 are beyond what a double holds. */
function unixNano(timeOriginMs: number, ms: number): string {
  return `${Math.round((timeOriginMs + ms) * 1000)}000`;
}

function attributesOf(attributes: Resource) {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { intValue: String(value) },
  }));
}
