/** What came with a request, as its transport gave it. */
export interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate: string | null;
}

/** W3C Trace Context of a request, understood. Ids are lower-case hex. */
export interface TraceContext {
  readonly traceId: string;
  /** The span of whoever called. */
  readonly spanId: string;
  readonly sampled: boolean;
  readonly tracestate: string | null;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
const INVALID_VERSION = 'ff';
const SAMPLED = 1;

/** Longer ones may be dropped, says the specification; 512 characters have to be carried. */
const MAX_TRACESTATE_CHARACTERS = 512;
/** Printable ASCII: a header of ours is made of it. */
const STATE = /^[\x20-\x7e]+$/;

/**
 * A `traceparent` by the rules of W3C Trace Context, level 1; null for one that is to be ignored: wrong lengths, upper
 * case, version ff, ids of zeros, anything behind version 00. Of later versions, the part that is known is read.
 */
export function parseTraceparent(headers: TraceHeaders): TraceContext | null {
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(headers.traceparent) ?? [];
  if (version === undefined || version === INVALID_VERSION) return null;
  if (version === '00' && rest !== undefined) return null;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return null;
  const sampled = (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED;
  return { traceId, spanId, sampled, tracestate: stateOf(headers.tracestate) };
}

function stateOf(state: string | null): string | null {
  if (state === null || state.length > MAX_TRACESTATE_CHARACTERS || !STATE.test(state)) return null;
  return state;
}

/** The headers of a call that is made for a request. */
export function traceHeaders(context: TraceContext): Record<string, string> {
  const { traceId, spanId, sampled, tracestate } = context;
  const traceparent = `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
  return tracestate === null ? { traceparent } : { traceparent, tracestate };
}
