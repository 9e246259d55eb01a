import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  beginRollout,
  isEnded,
  observedForMs,
  offersCandidate,
  type RolloutEvent,
  type RolloutState,
  stepRollout,
} from '../../../control-plane/rollout/rollout-state.ts';

const now = fc.nat({ max: 1_000_000 });
const reason = fc.constant('because');
const event: fc.Arbitrary<RolloutEvent> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('pass', 'inconclusive', 'promote', 'pause', 'resume', 'confirmed'),
    now,
  }),
  fc.record({ kind: fc.constantFrom('fail', 'nack', 'abort'), now, reason }),
  fc.record({
    kind: fc.constant('deadline' as const),
    now,
    policy: fc.constantFrom('hold', 'abort'),
    reason,
  }),
) as fc.Arbitrary<RolloutEvent>;
const history = fc.array(event, { maxLength: 30 });

function run(events: readonly RolloutEvent[]): RolloutState[] {
  const states: RolloutState[] = [beginRollout(0)];
  for (const next of events) {
    const before = states[states.length - 1];
    states.push(stepRollout(before, next) ?? before);
  }
  return states;
}

describe('a rollout', () => {
  it('never leaves an end, and never offers the candidate again once it is taken back', () => {
    fc.assert(
      fc.property(history, (events) => {
        const states = run(events);
        for (const [at, state] of states.entries()) {
          const later = states.slice(at);
          if (isEnded(state.kind)) expect(later.every((s) => s === state)).toBe(true);
          if (state.kind === 'rolling-back') {
            expect(later.some((s) => offersCandidate(s.kind) || s.kind === 'completed')).toBe(
              false,
            );
          }
        }
      }),
    );
  });

  it('takes a failing or refused candidate back from wherever it is offered', () => {
    fc.assert(
      fc.property(history, fc.constantFrom('fail' as const, 'nack' as const), (events, kind) => {
        const last = run(events).at(-1);
        if (last === undefined || !offersCandidate(last.kind)) return;
        expect(stepRollout(last, { kind, now: 1, reason: 'x' })?.kind).toBe('rolling-back');
      }),
    );
  });

  it('is promoted only by a pass or a person, never by missing data or the clock', () => {
    fc.assert(
      fc.property(history, (events) => {
        const promoting = run(events).some((state) => state.kind === 'promoting');
        const allowed = events.some((e) => e.kind === 'pass' || e.kind === 'promote');
        expect(promoting && !allowed).toBe(false);
      }),
    );
  });

  it.each([
    ['gate', { kind: 'fail', now: 5, reason: 'r' }, 'rolled-back'],
    ['nack', { kind: 'nack', now: 5, reason: 'r' }, 'rolled-back'],
    ['operator', { kind: 'abort', now: 5, reason: 'r' }, 'aborted'],
    ['deadline', { kind: 'deadline', now: 5, policy: 'abort', reason: 'r' }, 'aborted'],
  ] as const)('ends a rollback of cause %s as told', (cause, trigger, end) => {
    const back = stepRollout(beginRollout(0), trigger);
    expect(back).toMatchObject({ kind: 'rolling-back', cause, requestedAtMs: 5 });
    if (back === null) return;
    expect(stepRollout(back, { kind: 'confirmed', now: 9 })).toMatchObject({
      kind: end,
      cause,
      finishedAtMs: 9,
    });
  });

  it('holds at a deadline whose policy says so, and then waits for a person', () => {
    const held = stepRollout(beginRollout(0), {
      kind: 'deadline',
      now: 7,
      policy: 'hold',
      reason: 'too few rows',
    });
    expect(held).toMatchObject({ kind: 'held', reason: 'too few rows' });
    if (held === null) return;
    expect(stepRollout(held, { kind: 'pass', now: 8 })).toBe(held);
    expect(stepRollout(held, { kind: 'promote', now: 8 })?.kind).toBe('promoting');
  });

  it('does not count a pause as observing', () => {
    const paused = stepRollout(beginRollout(0), { kind: 'pause', now: 1_000 });
    if (paused === null) throw new Error('a canary can be paused');
    expect(observedForMs(paused, 9_000)).toBe(1_000);
    const resumed = stepRollout(paused, { kind: 'resume', now: 5_000 });
    if (resumed === null) throw new Error('a pause can end');
    expect(observedForMs(resumed, 6_000)).toBe(2_000);
    expect(stepRollout(resumed, { kind: 'resume', now: 6_000 })).toBeNull();
  });
});
