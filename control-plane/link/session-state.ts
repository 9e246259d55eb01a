/**
 * One connection of a host, from the control plane's side. Pure.
 *
 *                      hello                accepted
 *     awaiting-hello ─────────▶ verifying ───────────▶ joined ──┐ report, telemetry, event, …
 *          │                       │  │ held    accepted│ ▲ ▲────┘
 *          │                       │  └─────▶ pending ──┼─┘
 *          │ timeout, other        │ denied, other      │ hello, replaced
 *          └───────────────────────┴────────┬───────────┘
 *                                           ▼     lost, shutdown: from everywhere
 *                                         closed
 *
 * `verifying` is its own state because a proof is checked and a token redeemed asynchronously: a
 * second hello in the meantime must not redeem a second token.
 */
import type { LinkErrorCode } from '../../protocol/error.ts';
import type { AgentId } from '../../protocol/ids.ts';

export type SessionState =
  | { readonly kind: 'awaiting-hello' }
  | { readonly kind: 'verifying' }
  /** Known, and waiting for an operator. The link is held; nothing is said on it. */
  | { readonly kind: 'pending'; readonly agent: AgentId }
  | { readonly kind: 'joined'; readonly agent: AgentId }
  /** `code` null: the other side went away. */
  | { readonly kind: 'closed'; readonly code: LinkErrorCode | null };

export type SessionEvent =
  | { readonly kind: 'hello' }
  | { readonly kind: 'report' }
  | { readonly kind: 'telemetry' }
  | { readonly kind: 'event' }
  | { readonly kind: 'result' }
  | { readonly kind: 'ledger' }
  | { readonly kind: 'progress' }
  | { readonly kind: 'accepted'; readonly agent: AgentId }
  | { readonly kind: 'held'; readonly agent: AgentId }
  | { readonly kind: 'denied'; readonly code: LinkErrorCode }
  | { readonly kind: 'malformed'; readonly code: 'bad-frame' | 'bad-message' | 'out-of-order' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'replaced' }
  | { readonly kind: 'shutdown' }
  | { readonly kind: 'lost' };

type StateOf<K extends SessionState['kind']> = Extract<SessionState, { kind: K }>;
type EventOf<K extends SessionEvent['kind']> = Extract<SessionEvent, { kind: K }>;
type Table = {
  readonly [S in SessionState['kind']]: {
    readonly [E in SessionEvent['kind']]: (state: StateOf<S>, event: EventOf<E>) => SessionState;
  };
};

const stay = (state: SessionState): SessionState => state;
const close = (code: LinkErrorCode | null) => (): SessionState => ({ kind: 'closed', code });
const closeAs = (_: SessionState, event: { code: LinkErrorCode }): SessionState => ({
  kind: 'closed',
  code: event.code,
});

const ending = {
  malformed: closeAs,
  replaced: close('replaced'),
  shutdown: close('shutting-down'),
  lost: close(null),
};

const beforeJoin = {
  ...ending,
  report: close('unexpected-message'),
  telemetry: close('unexpected-message'),
  event: close('unexpected-message'),
  result: close('unexpected-message'),
  ledger: close('unexpected-message'),
  progress: close('unexpected-message'),
  timeout: close('hello-timeout'),
  denied: closeAs,
};

const TRANSITIONS: Table = {
  'awaiting-hello': {
    ...beforeJoin,
    hello: () => ({ kind: 'verifying' }),
    accepted: stay,
    held: stay,
  },
  verifying: {
    ...beforeJoin,
    hello: close('unexpected-message'),
    accepted: (_, event) => ({ kind: 'joined', agent: event.agent }),
    held: (_, event) => ({ kind: 'pending', agent: event.agent }),
  },
  pending: {
    ...beforeJoin,
    hello: close('unexpected-message'),
    accepted: ({ agent }) => ({ kind: 'joined', agent }),
    held: stay,
    // The hello came; a person may take a day.
    timeout: stay,
  },
  joined: {
    ...ending,
    hello: close('unexpected-message'),
    report: stay,
    telemetry: stay,
    event: stay,
    result: stay,
    ledger: stay,
    progress: stay,
    accepted: stay,
    held: stay,
    denied: closeAs,
    // The hello timer may fire in the same turn in which the hello was accepted.
    timeout: stay,
  },
  closed: {
    hello: stay,
    report: stay,
    telemetry: stay,
    event: stay,
    result: stay,
    ledger: stay,
    progress: stay,
    accepted: stay,
    held: stay,
    denied: stay,
    malformed: stay,
    timeout: stay,
    replaced: stay,
    shutdown: stay,
    lost: stay,
  },
};

export const NEW_SESSION: SessionState = { kind: 'awaiting-hello' };

/** The state after `event`; the very same object when it changes nothing. */
export function stepSession(state: SessionState, event: SessionEvent): SessionState {
  // The compiler can't follow that both lookups agree with their arguments; the table's type does.
  const transition = TRANSITIONS[state.kind][event.kind] as (
    state: SessionState,
    event: SessionEvent,
  ) => SessionState;
  return transition(state, event);
}

/** How long a host should stay away; null: these credentials will never do. */
export function retryAfterMs(code: LinkErrorCode): number | null {
  const RETRY_MS: Record<LinkErrorCode, number | null> = {
    'bad-frame': 5_000,
    'bad-message': 5_000,
    'unexpected-message': 5_000,
    // What is missing is still in its outbox, and comes with the next link.
    'out-of-order': 100,
    'unsupported-protocol': 60_000,
    'bad-proof': null,
    'bad-join-token': null,
    'unknown-agent': null,
    revoked: null,
    'pending-approval': 30_000,
    // Somebody else came with the same key: fighting over it helps nobody.
    replaced: 30_000,
    'hello-timeout': 1_000,
    'too-slow': 5_000,
    'shutting-down': 1_000,
  };
  return RETRY_MS[code];
}
