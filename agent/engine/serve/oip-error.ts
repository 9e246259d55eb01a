/**
 * Why an inference request is refused. OIP asks for `{"error": text}`; `code` beside it is for programs.
 * Statuses: the "Recommended" column of the protocol's error table in docs.
 */
const STATUS = {
  bad_request: 400,
  /** What JSON cannot carry came in with the request itself. */
  non_finite_input: 400,
  managed: 403,
  unknown_model: 404,
  unknown_version: 404,
  unknown_path: 404,
  wrong_method: 405,
  body_too_large: 413,
  unsupported_encoding: 415,
  expectation_failed: 417,
  /** The feature server knows no value for a key of the request, and there is no default. */
  feature_missing: 422,
  model_failed: 500,
  non_finite_output: 500,
  not_ready: 503,
  /** A guard took the version back, and there is none to go back to. */
  guard_tripped: 503,
  /** This host has not heard for too long that it may still serve the deployment. */
  lease_lapsed: 503,
  /** An operator has taken this host out of traffic: another one answers. */
  draining: 503,
  /** The queue is full: come back after `retryAfterSeconds`. */
  overloaded: 503,
  /** The engine that computed it died. */
  engine_died: 503,
  /** Features are fetched before the model, and the server that has them cannot be asked. */
  feature_server_failed: 503,
  deadline_exceeded: 504,
} as const;

export type OipErrorCode = keyof typeof STATUS;

export interface OipErrorOptions extends ErrorOptions {
  /** Whole seconds, at least 1, after which the same request has a chance. */
  readonly retryAfterSeconds?: number;
}

export class OipError extends Error {
  readonly code: OipErrorCode;
  readonly status: number;
  /** Whole seconds for `Retry-After`; null where coming back is not the way. */
  readonly retryAfterSeconds: number | null;
  constructor(code: OipErrorCode, message: string, options?: OipErrorOptions) {
    super(message, options);
    this.name = 'OipError';
    this.code = code;
    this.status = STATUS[code];
    this.retryAfterSeconds = options?.retryAfterSeconds ?? null;
  }

  get body(): string {
    return JSON.stringify({ error: this.message, code: this.code });
  }
}

export function drained(): OipError {
  return new OipError('draining', 'this host is drained: it takes no requests; ask another one');
}
