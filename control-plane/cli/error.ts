/** `usage` exits with 2, `failed` with 1. */
export type CliErrorKind = 'usage' | 'failed';

/** What a command tells its user instead of a stack: what is wrong, and what to do about it. */
export class CliError extends Error {
  readonly kind: CliErrorKind;
  /** HTTP status, when the control plane said so. */
  readonly status: number | null;

  constructor(kind: CliErrorKind, message: string, options?: ErrorOptions & { status?: number }) {
    super(message, options);
    this.name = 'CliError';
    this.kind = kind;
    this.status = options?.status ?? null;
  }
}
