import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  awayAfterTurnedAway,
  type LinkEvent,
  type LinkState,
  NOT_AWAY,
  nextLinkState,
  reconnectDelayMs,
  waitAfterRefusalMs,
} from '../../../agent/link/link-state.ts';

const EVENTS: readonly LinkEvent[] = [
  { name: 'timer' },
  { name: 'challenge' },
  { name: 'pending' },
  { name: 'welcome' },
  { name: 'closed' },
  { name: 'refused', reason: 'revoked' },
  { name: 'stop' },
];
const anyEvents = fc.array(fc.constantFrom(...EVENTS), { maxLength: 40 });
const START = { name: 'waiting', attempt: 0 } as const satisfies LinkState;

const after = (...names: LinkEvent['name'][]) =>
  names.reduce<LinkState>((state, name) => {
    const event = EVENTS.find((each) => each.name === name);
    if (event === undefined) throw new Error(`no event ${name}`);
    return nextLinkState(state, event);
  }, START);

describe('the link', () => {
  it('HELLO-1: comes online through a challenge and a welcome, in that order', () => {
    expect(after('timer')).toEqual({ name: 'connecting', attempt: 0 });
    expect(after('timer', 'challenge')).toEqual({ name: 'proving', attempt: 0 });
    expect(after('timer', 'challenge', 'welcome')).toEqual({ name: 'online' });
    expect(after('timer', 'welcome')).toEqual({ name: 'waiting', attempt: 1 });
    expect(after('timer', 'challenge', 'challenge')).toEqual({ name: 'waiting', attempt: 1 });
  });

  it('HELLO-1: is never online without them, whatever happens', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        let state: LinkState = START;
        for (const event of events) {
          const before: LinkState = state;
          state = nextLinkState(state, event);
          if (state.name === 'online' && before.name !== 'online') {
            expect(['proving', 'pending']).toContain(before.name);
            expect(event.name).toBe('welcome');
          }
          if (state.name === 'pending' && before.name !== 'pending') {
            expect([before.name, event.name]).toEqual(['proving', 'pending']);
          }
          if (state.name === 'proving' && before.name !== 'proving') {
            expect([before.name, event.name]).toEqual(['connecting', 'challenge']);
          }
        }
      }),
    );
  });

  it('LINK-2: counts attempts until a welcome, and starts over after one', () => {
    expect(after('timer', 'closed', 'timer', 'closed', 'timer', 'challenge', 'closed')).toEqual({
      name: 'waiting',
      attempt: 3,
    });
    expect(after('timer', 'closed', 'timer', 'challenge', 'welcome', 'closed')).toEqual({
      name: 'waiting',
      attempt: 1,
    });
  });

  it('LINK-3: stays refused, and only a stop ends that', () => {
    const refused = { name: 'refused', reason: 'revoked' };
    expect(after('timer', 'challenge', 'refused', 'closed', 'timer')).toEqual(refused);
    expect(after('timer', 'refused', 'stop')).toEqual({ name: 'stopped' });
  });

  it('has an answer for every event in every state, and ends when stopped', () => {
    fc.assert(
      fc.property(anyEvents, anyEvents, (events, more) => {
        const stopped = [...events, { name: 'stop' } as const, ...more].reduce(
          nextLinkState,
          START,
        );
        expect(stopped).toEqual({ name: 'stopped' });
      }),
    );
  });
});

describe('LINK-1: the wait before the next attempt', () => {
  it.each([
    [0, 250],
    [1, 500],
    [4, 4_000],
    [7, 30_000],
    [1_000_000, 30_000],
  ])('at attempt %i is spread from 0 to %i ms', (attempt, bound) => {
    expect(reconnectDelayMs(attempt, 0)).toBe(0);
    expect(reconnectDelayMs(attempt, 0.5)).toBe(bound / 2);
    expect(reconnectDelayMs(attempt, 1 - Number.EPSILON)).toBe(bound - 1);
  });

  it('is never shorter than the server asked for, and never longer than that and 30 s', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.nat(3_600_000),
        (attempt, draw, atLeastMs) => {
          const asked = reconnectDelayMs(attempt, draw, { ms: atLeastMs, isOwnTime: false });
          expect(asked).toBeGreaterThanOrEqual(atLeastMs);
          expect(asked).toBeLessThan(atLeastMs + 30_000);
          const given = reconnectDelayMs(attempt, draw, { ms: atLeastMs, isOwnTime: true });
          expect(given).toBeGreaterThanOrEqual(atLeastMs);
          expect(given).toBeLessThan(atLeastMs + (attempt <= 8 ? 500 : 30_000));
        },
      ),
    );
  });

  it('is no longer than there has been no link, or a second: a short outage keeps no host away for long', () => {
    const most = 1 - Number.EPSILON;
    expect(reconnectDelayMs(9, most, NOT_AWAY, 3_000)).toBe(2_999);
    expect(reconnectDelayMs(9, most, NOT_AWAY, 10)).toBe(999);
    expect(reconnectDelayMs(9, most, NOT_AWAY, 3_600_000)).toBe(29_999);
    expect(reconnectDelayMs(2, most, NOT_AWAY, 3_600_000)).toBe(999);
  });

  it('grows again for whoever is given a time of its own over and over', () => {
    const own = { ms: 1, isOwnTime: true };
    const most = 1 - Number.EPSILON;
    expect([8, 9, 10, 14, 99].map((attempt) => reconnectDelayMs(attempt, most, own))).toEqual([
      ...[500, 1_000, 2_000, 30_000, 30_000],
    ]);
  });

  it('is an hour when the server asks for more: a longer one could overflow the timer', () => {
    for (const ms of [3_600_001, Number.MAX_SAFE_INTEGER]) {
      expect(reconnectDelayMs(1, 0, { ms, isOwnTime: false })).toBe(3_600_000);
    }
  });
});

it('HELLO-12: a refusal that nobody proved is not for good, and holds an agent for 30 s at most', () => {
  expect(waitAfterRefusalMs(null, true)).toBeNull();
  expect(waitAfterRefusalMs(3_600_000, true)).toBe(3_600_000);
  expect(waitAfterRefusalMs(null, false)).toBe(0);
  expect(waitAfterRefusalMs(30_000, false)).toBe(30_000);
  expect(waitAfterRefusalMs(3_600_000, false)).toBe(30_000);
});

it('LINK-8: a full control plane is waited for by milliseconds, else by seconds, for a minute at most', () => {
  expect(awayAfterTurnedAway('1500', '2')).toEqual({ ms: 1_500, isOwnTime: true });
  expect(awayAfterTurnedAway(undefined, '2')).toEqual({ ms: 2_000, isOwnTime: false });
  expect(awayAfterTurnedAway('soon', '2')).toEqual({ ms: 2_000, isOwnTime: false });
  expect(awayAfterTurnedAway('3600000', undefined)).toEqual({ ms: 60_000, isOwnTime: false });
  expect(awayAfterTurnedAway('60000', undefined)).toEqual({ ms: 60_000, isOwnTime: false });
  expect(awayAfterTurnedAway('0', undefined)).toEqual({ ms: 0, isOwnTime: false });
  expect(awayAfterTurnedAway('-1', 'Fri, 27 Nov 2026 08:00:00 GMT')).toEqual(NOT_AWAY);
  expect(awayAfterTurnedAway(undefined, undefined)).toEqual(NOT_AWAY);
});
