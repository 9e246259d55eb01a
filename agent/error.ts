import type { RefusalCode } from '../protocol/error.ts';

export type AgentErrorKind =
  | 'configuration'
  | 'identity'
  | 'link'
  | 'store'
  | 'engine'
  | 'simulation';

/** Something the agent itself could not do. */
export class AgentError extends Error {
  readonly kind: AgentErrorKind;
  constructor(kind: AgentErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AgentError';
    this.kind = kind;
  }
}

/** A version that this host will not serve, with the code that the control plane decides by. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Refusal';
    this.code = code;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
