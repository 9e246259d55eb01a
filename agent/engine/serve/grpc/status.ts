import { OipError, type OipErrorCode } from '../oip-error.ts';

/** Codes of google.rpc.Status that this server gives; their names are those of the specification. */
export const STATUS = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

/** The column "Recommended" of the protocol's error table. */
const STATUS_OF: Readonly<Record<OipErrorCode, Status>> = {
  bad_request: STATUS.INVALID_ARGUMENT,
  non_finite_input: STATUS.INVALID_ARGUMENT,
  managed: STATUS.PERMISSION_DENIED,
  unknown_model: STATUS.NOT_FOUND,
  unknown_version: STATUS.NOT_FOUND,
  unknown_path: STATUS.UNIMPLEMENTED,
  wrong_method: STATUS.UNIMPLEMENTED,
  expectation_failed: STATUS.INVALID_ARGUMENT,
  body_too_large: STATUS.RESOURCE_EXHAUSTED,
  unsupported_encoding: STATUS.UNIMPLEMENTED,
  feature_missing: STATUS.FAILED_PRECONDITION,
  model_failed: STATUS.INTERNAL,
  non_finite_output: STATUS.INTERNAL,
  not_ready: STATUS.UNAVAILABLE,
  draining: STATUS.UNAVAILABLE,
  overloaded: STATUS.UNAVAILABLE,
  guard_tripped: STATUS.UNAVAILABLE,
  lease_lapsed: STATUS.UNAVAILABLE,
  engine_died: STATUS.UNAVAILABLE,
  feature_server_failed: STATUS.UNAVAILABLE,
  deadline_exceeded: STATUS.DEADLINE_EXCEEDED,
};

/**
 * A message takes at most this many bytes in its header: C-core and Java refuse metadata above 8 KiB, which would
 * turn an answer that explains into one that does not.
 */
const MAX_MESSAGE_BYTES = 2048;

/** Metadata of a refused call. */
export interface Refusal {
  readonly status: Status;
  readonly message: string;
  readonly trailers: Readonly<Record<string, string>>;
}

/** Anything that is no `OipError` is this server's own fault, and is not told to strangers in detail. */
export function refusalOf(error: unknown): Refusal {
  const known =
    error instanceof OipError
      ? error
      : new OipError('model_failed', 'internal error', { cause: error });
  const status = STATUS_OF[known.code];
  const trailers: Record<string, string> = {
    'grpc-status': String(status),
    'grpc-message': percentEncoded(known.message),
    // What `code` is beside `error` over REST: for programs, finer than the status.
    'driftline-code': known.code,
  };
  if (known.retryAfterSeconds !== null) {
    trailers['grpc-retry-pushback-ms'] = String(known.retryAfterSeconds * 1000);
  }
  return { status, message: known.message, trailers };
}

/** As gRPC over HTTP/2 asks for it: the bytes from space to tilde as they are, but for `%`; the rest as `%XX`. */
export function percentEncoded(text: string): string {
  let encoded = '';
  for (const character of text) {
    const plain = character >= ' ' && character <= '~' && character !== '%';
    const next = plain ? character : percentBytes(character);
    if (encoded.length + next.length > MAX_MESSAGE_BYTES) break;
    encoded += next;
  }
  return encoded;
}

function percentBytes(character: string): string {
  return Array.from(
    Buffer.from(character),
    (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('');
}

const UNIT_US: ReadonlyMap<string, number> = new Map([
  ['H', 3.6e9],
  ['M', 6e7],
  ['S', 1e6],
  ['m', 1e3],
  ['u', 1],
  ['n', 1e-3],
]);
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;

/**
 * A `grpc-timeout` header in whole microseconds, at least 1, because 0 means "none" elsewhere; null without one.
 * Throws 'bad_request' for what is none.
 */
export function timeoutUsOf(header: string | undefined): number | null {
  if (header === undefined) return null;
  const [, amount, unit] = TIMEOUT.exec(header) ?? [];
  if (amount === undefined) {
    throw new OipError(
      'bad_request',
      `grpc-timeout "${header.slice(0, 40)}" is not 1 to 8 digits and a unit`,
    );
  }
  return Math.max(1, Math.round(Number(amount) * (UNIT_US.get(unit) ?? 1)));
}
