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

/** However short the outage was so far. */
const LEAST_BOUND_MS = 1_000;
/** Around a time that was given to one host alone. */
const OWN_TIME_JITTER_MS = 500;
/** Whoever is sent away more often than that is told something else than a control plane says, or by another. */
const OWN_TIME_ATTEMPTS = 8;

/** For how long the server asked a host to stay away. */
export interface Away {
  readonly ms: number;
  /** Others were told other times: a fleet is spread over them already. */
  readonly isOwnTime: boolean;
}

export const NOT_AWAY: Away = { ms: 0, isOwnTime: false };

/**
 * Full jitter: uniform between 0 and a doubling bound, so that a fleet that lost its control plane at one
 * instant doesn't come back at one. A control plane that gives each host a time of its own has done that itself, and a
 * place that nobody comes to is lost.
 *
 * @param draw uniform in [0, 1)
 * @param withoutLinkMs for how long there has been none: of thousands of hosts some draw a few short waits in a row, and would then stay
 *   away many times as long as the control plane was
 */
export function reconnectDelayMs(
  attempt: number,
  draw: number,
  away: Away = NOT_AWAY,
  withoutLinkMs = MAX_DELAY_MS,
): number {
  const outageMs = Math.max(LEAST_BOUND_MS, Math.min(withoutLinkMs, MAX_DELAY_MS));
  const aroundOwnMs =
    OWN_TIME_JITTER_MS * 2 ** Math.min(Math.max(0, attempt - OWN_TIME_ATTEMPTS), 16);
  const most = away.isOwnTime ? Math.min(outageMs, aroundOwnMs) : outageMs;
  const bound = Math.min(most, BASE_DELAY_MS * 2 ** Math.min(attempt, 16));
  return Math.min(away.ms, MAX_RETRY_AFTER_MS) + Math.floor(draw * bound);
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
export function awayAfterTurnedAway(
  exactMs: string | readonly string[] | undefined,
  retryAfter: string | undefined,
): Away {
  const waits = [Number(exactMs), Number(retryAfter) * 1000];
  const at = waits.findIndex((ms) => Number.isFinite(ms) && ms >= 0);
  if (at === -1) return NOT_AWAY;
  // Only a control plane counts in milliseconds, and it tells all the same whose time would be past its longest promise.
  const isOwnTime = at === 0 && waits[0] > 0 && waits[0] < MAX_PROMISE_MS;
  return { ms: Math.min(waits[at], MAX_PROMISE_MS), isOwnTime };
}
