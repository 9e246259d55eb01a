/**
 * The agent's side of the link, without socket or clock.
 *
 *     waiting ──timer──▶ connecting ──challenge──▶ proving ──welcome──▶ online
 *        ▲                   │                        │                   │
 *        └────── closed ─────┴──────── closed ────────┴────── closed ─────┘
 *     any ──refused for good──▶ refused         any ──stop──▶ stopped
 *     online ──welcome──▶ online: the control plane renews the download token
 */
export type LinkState =
  | { readonly name: 'waiting'; readonly attempt: number }
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'proving'; readonly attempt: number }
  | { readonly name: 'online' }
  | { readonly name: 'refused'; readonly reason: string }
  | { readonly name: 'stopped' };

export type LinkEvent =
  | { readonly name: 'timer' }
  | { readonly name: 'challenge' }
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
    welcome: stay,
    closed: stay,
    refused,
    stop: stopped,
  },
  connecting: {
    timer: stay,
    challenge: to('proving'),
    welcome: again,
    closed: again,
    refused,
    stop: stopped,
  },
  proving: {
    timer: stay,
    challenge: again,
    welcome: () => ({ name: 'online' }),
    closed: again,
    refused,
    stop: stopped,
  },
  online: {
    timer: stay,
    challenge: again,
    welcome: stay,
    closed: () => ({ name: 'waiting', attempt: 1 }),
    refused,
    stop: stopped,
  },
  refused: {
    timer: stay,
    challenge: stay,
    welcome: stay,
    closed: stay,
    refused: stay,
    stop: stopped,
  },
  stopped: { timer: stay, challenge: stay, welcome: stay, closed: stay, refused: stay, stop: stay },
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
