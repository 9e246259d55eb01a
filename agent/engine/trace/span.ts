/** As OTLP numbers them. */
export const SPAN_KIND = { internal: 1, server: 2, client: 3 } as const;
export type SpanKind = keyof typeof SPAN_KIND;

export type AttributeValue = string | number;

/** A span that has ended. Ids are lower-case hex; times are those of `performance.now()`. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly tracestate: string | null;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Whole numbers and texts. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** What went wrong; null: nothing. */
  readonly error: string | null;
}
