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
  model_failed: 500,
  non_finite_output: 500,
  not_ready: 503,
} as const;

export type OipErrorCode = keyof typeof STATUS;

export class OipError extends Error {
  readonly code: OipErrorCode;
  readonly status: number;
  constructor(code: OipErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OipError';
    this.code = code;
    this.status = STATUS[code];
  }

  get body(): string {
    return JSON.stringify({ error: this.message, code: this.code });
  }
}
