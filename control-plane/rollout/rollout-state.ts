/**
 * What a rollout goes through. Pure: time and evidence come in with the event.
 *
 *              pass, promote                 confirmed
 *     canary ────────────────▶ promoting ────────────────▶ completed
 *      │ ▲ │                      │
 *      │ │ │ deadline (hold)      │ fail, abort
 *      │ │ └────────▶ held ──┐    │
 *      │ │    promote ▲│     │    │
 *      │ │ resume      ▼     │ fail, nack, abort
 *      │ └─────── paused ────┤    │
 *      │                     ▼    ▼    confirmed, cause gate | nack
 *      └───────────────▶ rolling-back ────────────────────────▶ rolled-back
 *        fail, nack, abort,    │       confirmed, cause operator | deadline
 *        deadline (abort)      └──────────────────────────────▶ aborted
 *
 * `fail` and `nack` take a version back even while paused or held: pausing stops progress, not
 * protection. `pass` never leaves `held`: its deadline passed, so a person decides.
 */

/** `gate` and `nack` are the version's fault, `operator` and `deadline` are decisions. */
export type RollbackCause = 'gate' | 'nack' | 'operator' | 'deadline';

interface Begun {
  readonly startedAtMs: number;
  /** How long it stood paused: waiting isn't observing. */
  readonly pausedForMs: number;
}

interface TakenBack extends Begun {
  readonly cause: RollbackCause;
  readonly reason: string;
  readonly requestedAtMs: number;
}

export type RolloutState =
  | ({ readonly kind: 'canary' } & Begun)
  | ({ readonly kind: 'paused'; readonly pausedAtMs: number } & Begun)
  | ({ readonly kind: 'held'; readonly heldAtMs: number; readonly reason: string } & Begun)
  | ({ readonly kind: 'promoting'; readonly promotedAtMs: number } & Begun)
  | ({ readonly kind: 'completed'; readonly completedAtMs: number } & Begun)
  | ({ readonly kind: 'rolling-back' } & TakenBack)
  | ({ readonly kind: 'rolled-back'; readonly finishedAtMs: number } & TakenBack)
  | ({ readonly kind: 'aborted'; readonly finishedAtMs: number } & TakenBack);

export type RolloutEvent =
  | { readonly kind: 'pass'; readonly now: number }
  | { readonly kind: 'fail'; readonly now: number; readonly reason: string }
  | { readonly kind: 'inconclusive'; readonly now: number }
  | { readonly kind: 'nack'; readonly now: number; readonly reason: string }
  | {
      readonly kind: 'deadline';
      readonly now: number;
      readonly policy: 'hold' | 'abort';
      readonly reason: string;
    }
  | { readonly kind: 'promote'; readonly now: number }
  | { readonly kind: 'abort'; readonly now: number; readonly reason: string }
  | { readonly kind: 'pause'; readonly now: number }
  | { readonly kind: 'resume'; readonly now: number }
  | { readonly kind: 'confirmed'; readonly now: number };

export type RolloutStateKind = RolloutState['kind'];
export type RolloutEventKind = RolloutEvent['kind'];
type StateOf<K extends RolloutStateKind> = Extract<RolloutState, { kind: K }>;
type EventOf<K extends RolloutEventKind> = Extract<RolloutEvent, { kind: K }>;

/** A null means that the event makes no sense there: an operator gets told so. */
type Table = {
  readonly [S in RolloutStateKind]: {
    readonly [E in RolloutEventKind]: (state: StateOf<S>, event: EventOf<E>) => RolloutState | null;
  };
};

const stay = (state: RolloutState): RolloutState => state;
const refuse = (): null => null;

function begun(state: RolloutState): Begun {
  return { startedAtMs: state.startedAtMs, pausedForMs: state.pausedForMs };
}

function takeBack(cause: RollbackCause) {
  return (state: RolloutState, event: { now: number; reason: string }): RolloutState => ({
    kind: 'rolling-back',
    ...begun(state),
    cause,
    reason: event.reason,
    requestedAtMs: event.now,
  });
}

function promote(state: RolloutState, event: { now: number }): RolloutState {
  return { kind: 'promoting', ...begun(state), promotedAtMs: event.now };
}

function atDeadline(state: RolloutState, event: EventOf<'deadline'>): RolloutState {
  if (event.policy === 'abort') return takeBack('deadline')(state, event);
  return { kind: 'held', ...begun(state), heldAtMs: event.now, reason: event.reason };
}

function finish(state: StateOf<'rolling-back'>, event: { now: number }): RolloutState {
  const { kind: _, ...taken } = state;
  const atFault = state.cause === 'gate' || state.cause === 'nack';
  return { kind: atFault ? 'rolled-back' : 'aborted', ...taken, finishedAtMs: event.now };
}

// Evidence, deadlines and confirmations that arrive after the end are late, not wrong.
const ended = {
  pass: stay,
  fail: stay,
  inconclusive: stay,
  nack: stay,
  deadline: stay,
  promote: refuse,
  abort: refuse,
  pause: refuse,
  resume: refuse,
  confirmed: stay,
};

const TRANSITIONS: Table = {
  canary: {
    pass: promote,
    fail: takeBack('gate'),
    inconclusive: stay,
    nack: takeBack('nack'),
    deadline: atDeadline,
    promote,
    abort: takeBack('operator'),
    pause: (state, event) => ({ kind: 'paused', ...begun(state), pausedAtMs: event.now }),
    resume: refuse,
    confirmed: stay,
  },
  paused: {
    pass: stay,
    fail: takeBack('gate'),
    inconclusive: stay,
    nack: takeBack('nack'),
    deadline: stay,
    promote: refuse,
    abort: takeBack('operator'),
    pause: refuse,
    resume: (state, event) => ({
      kind: 'canary',
      startedAtMs: state.startedAtMs,
      pausedForMs: state.pausedForMs + Math.max(0, event.now - state.pausedAtMs),
    }),
    confirmed: stay,
  },
  held: {
    pass: stay,
    fail: takeBack('gate'),
    inconclusive: stay,
    nack: takeBack('nack'),
    deadline: stay,
    promote,
    abort: takeBack('operator'),
    pause: refuse,
    resume: refuse,
    confirmed: stay,
  },
  promoting: {
    pass: stay,
    fail: takeBack('gate'),
    inconclusive: stay,
    // The canary ran it: a host that can't is that host's trouble, and keeps its last good version.
    nack: stay,
    deadline: stay,
    promote: refuse,
    abort: takeBack('operator'),
    pause: refuse,
    resume: refuse,
    confirmed: (state, event) => ({
      kind: 'completed',
      ...begun(state),
      completedAtMs: event.now,
    }),
  },
  'rolling-back': { ...ended, confirmed: finish },
  completed: ended,
  'rolled-back': ended,
  aborted: ended,
};

/** A rollout that begins now. */
export function beginRollout(now: number): RolloutState {
  return { kind: 'canary', startedAtMs: now, pausedForMs: 0 };
}

/**
 * The state after `event`; the very same object when it changes nothing, null when the event
 * makes no sense in this state.
 */
export function stepRollout(state: RolloutState, event: RolloutEvent): RolloutState | null {
  // The compiler can't follow that both lookups agree with their arguments; the table's type does.
  const transition = TRANSITIONS[state.kind][event.kind] as (
    state: RolloutState,
    event: RolloutEvent,
  ) => RolloutState | null;
  return transition(state, event);
}

/** Whether canary hosts are asked for the candidate: progress may stand still, traffic doesn't. */
export function offersCandidate(kind: RolloutStateKind): boolean {
  return kind === 'canary' || kind === 'paused' || kind === 'held';
}

export function isEnded(kind: RolloutStateKind): boolean {
  return kind === 'completed' || kind === 'rolled-back' || kind === 'aborted';
}

/** Milliseconds the canary has been watched, pauses left out. */
export function observedForMs(state: RolloutState, now: number): number {
  const until = state.kind === 'paused' ? state.pausedAtMs : now;
  return Math.max(0, until - state.startedAtMs - state.pausedForMs);
}
