import { MAX_PROMISE_MS } from '../../protocol/limits.ts';

/**
 * The agent's side of the link, without socket or clock.
 *
 *     waiting ──timer──▶ connecting ──challenge──▶ proving ──welcome──────────────▶ online
 *        ▲                   │                        │ └─pending─▶ pending ──welcome──▲│
 *        └────── closed ─────┴──────── closed ────────┴────── closed ──┴──── closed ────┘
 *     any ──refused for good──▶ refused         any ──stop──▶ stopped
 *     online ──welcome──▶ online: the control plane renews the download token
 */
export type LinkState =
  | { readonly name: 'waiting'; readonly attempt: number }
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'proving'; readonly attempt: number }
  /** Known to the control plane, and waiting for an operator's word. */
  | { readonly name: 'pending' }
  | { readonly name: 'online' }
  | { readonly name: 'refused'; readonly reason: string }
  | { readonly name: 'stopped' };

export type LinkEvent =
  | { readonly name: 'timer' }
  | { readonly name: 'challenge' }
  | { readonly name: 'pending' }
  | { readonly name: 'welcome' }
  | { readonly name: 'closed' }
  | { readonly name: 'refused'; readonly reason: string }
  | { readonly name: 'stop' };

type Transition = (state: LinkState, event: LinkEvent) => LinkState;
type Table = Record<LinkState['name'], Record<LinkEvent['name'], Transition>>;

const stay: Transition = (state) => state;
const stopped: Transition = () => ({ name: 'stopped' });
const refused: Transition = (_, event) => ({
  name: 'refused',
  reason: event.name === 'refused' ? event.reason : '',
});
/** Anything out of order is a broken peer: drop the connection and come back later. */
const again: Transition = (state) => ({
  name: 'waiting',
  attempt: 'attempt' in state ? state.attempt + 1 : 1,
});
const to =
  (name: 'connecting' | 'proving'): Transition =>
  (state) => ({ name, attempt: 'attempt' in state ? state.attempt : 0 });

const TABLE: Table = {
  waiting: {
    timer: to('connecting'),
    challenge: stay,
    pending: stay,
    welcome: stay,
    closed: stay,
    refused,
    stop: stopped,
  },
  connecting: {
    timer: stay,
    challenge: to('proving'),
    pending: again,
    welcome: again,
    closed: again,
    refused,
    stop: stopped,
  },
  proving: {
    timer: stay,
    challenge: again,
    pending: () => ({ name: 'pending' }),
    welcome: () => ({ name: 'online' }),
    closed: again,
    refused,
    stop: stopped,
  },
  pending: {
    timer: stay,
    challenge: again,
    pending: stay,
    welcome: () => ({ name: 'online' }),
    closed: again,
    refused,
    stop: stopped,
  },
  online: {
    timer: stay,
    challenge: again,
    pending: again,
    welcome: stay,
    closed: () => ({ name: 'waiting', attempt: 1 }),
    refused,
    stop: stopped,
  },
  refused: {
    timer: stay,
    challenge: stay,
    pending: stay,
    welcome: stay,
    closed: stay,
    refused: stay,
    stop: stopped,
  },
  stopped: {
    timer: stay,
    challenge: stay,
    pending: stay,
    welcome: stay,
    closed: stay,
    refused: stay,
    stop: stay,
  },
};

export function nextLinkState(state: LinkState, event: LinkEvent): LinkState {
  return TABLE[state.name][event.name](state, event);
}

const BASE_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;
/** Longest wait that a server can ask for. Past 2^31 ms a timer fires at once, and the wait would be a storm. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * Full jitter: uniform between 0 and a doubling bound, so that a fleet that lost its control plane at one
 * instant doesn't come back at one. `draw` is uniform in [0, 1); `atLeastMs` is what the server asked for.
 */
export function reconnectDelayMs(attempt: number, draw: number, atLeastMs = 0): number {
  const bound = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(attempt, 16));
  return Math.min(atLeastMs, MAX_RETRY_AFTER_MS) + Math.floor(draw * bound);
}

/**
 * What a refusal asks for; null: do not come back. Somebody on the way who has proved nothing can make an agent wait,
 * which he could by cutting the line too, and never longer than a link that does not come up waits.
 */
export function waitAfterRefusalMs(retryAfterMs: number | null, proven: boolean): number | null {
  return proven ? retryAfterMs : Math.min(retryAfterMs ?? 0, MAX_DELAY_MS);
}

/**
 * What the headers of an answer other than a WebSocket ask for: milliseconds, or else the seconds of `Retry-After`. Nobody
 * has proved anything there: at most as long as a control plane promises.
 */
export function waitAfterTurnedAwayMs(
  exactMs: string | readonly string[] | undefined,
  retryAfter: string | undefined,
): number {
  const waits = [Number(exactMs), Number(retryAfter) * 1000];
  const waitMs = waits.find((ms) => Number.isFinite(ms) && ms >= 0) ?? 0;
  return Math.min(waitMs, MAX_PROMISE_MS);
}
