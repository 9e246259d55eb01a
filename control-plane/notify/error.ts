/** `refused`: an address or answer we do not follow. `gone`: never again. `answered`: not a 2xx. */
export type DeliveryErrorKind = 'refused' | 'gone' | 'answered' | 'unreachable' | 'timeout';

/** Why an attempt failed. The message is kept and shown: it never holds a path, a query or a secret. */
export class DeliveryError extends Error {
  readonly kind: DeliveryErrorKind;
  /** What the receiver asked for by `Retry-After`; 0: nothing. */
  readonly retryAfterMs: number;

  constructor(
    kind: DeliveryErrorKind,
    message: string,
    options?: ErrorOptions & { retryAfterMs?: number },
  ) {
    super(message, options);
    this.name = 'DeliveryError';
    this.kind = kind;
    this.retryAfterMs = options?.retryAfterMs ?? 0;
  }
}
