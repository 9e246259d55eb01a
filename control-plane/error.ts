/** Why the control plane refuses. Closed: each kind has one HTTP status, in `http/problem.ts`. */
export type ControlErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'too-large'
  | 'range'
  | 'digest-mismatch'
  | 'artifact-missing'
  | 'model-refused'
  | 'misdirected'
  | 'residency'
  | 'unavailable';

/** The one error class of the control plane. The message names the value, the bound and what to do. */
export class ControlError extends Error {
  readonly kind: ControlErrorKind;
  constructor(kind: ControlErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ControlError';
    this.kind = kind;
  }
}
