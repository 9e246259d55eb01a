import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  NEW_SESSION,
  retryAfterMs,
  type SessionEvent,
  type SessionState,
  stepSession,
} from '../../../control-plane/link/session-state.ts';
import { linkErrorCodeSchema } from '../../../protocol/error.ts';

const accepted: SessionEvent = {
  kind: 'accepted',
  agent: `agt_${'0'.repeat(24)}`,
};
const event: fc.Arbitrary<SessionEvent> = fc.constantFrom<SessionEvent>(
  { kind: 'hello' },
  { kind: 'report' },
  { kind: 'telemetry' },
  { kind: 'event' },
  { kind: 'result' },
  { kind: 'ledger' },
  { kind: 'progress' },
  accepted,
  { kind: 'denied', code: 'bad-proof' },
  { kind: 'malformed', code: 'bad-frame' },
  { kind: 'timeout' },
  { kind: 'replaced' },
  { kind: 'shutdown' },
  { kind: 'lost' },
);

function run(events: readonly SessionEvent[]): SessionState[] {
  const states = [NEW_SESSION];
  for (const next of events) states.push(stepSession(states[states.length - 1], next));
  return states;
}

describe('a session', () => {
  it('joins only through a hello that was accepted, and stays closed once closed', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        const states = run(events);
        const joinedAt = states.findIndex((state) => state.kind === 'joined');
        if (joinedAt !== -1) expect(states[joinedAt - 1].kind).toBe('verifying');
        const closedAt = states.findIndex((state) => state.kind === 'closed');
        if (closedAt === -1) return;
        expect(states.slice(closedAt).every((state) => state === states[closedAt])).toBe(true);
      }),
    );
  });

  it('HELLO-7: closes on anything said before the hello is through, and on a second hello', () => {
    for (const kind of ['report', 'telemetry', 'event', 'result'] as const) {
      const closed = { kind: 'closed', code: 'unexpected-message' };
      expect(run([{ kind }]).at(-1)).toEqual(closed);
      expect(run([{ kind: 'hello' }, { kind }]).at(-1)).toEqual(closed);
    }
    expect(run([{ kind: 'hello' }, { kind: 'hello' }]).at(-1)?.kind).toBe('closed');
  });

  it('says of every code whether coming back can help', () => {
    for (const code of linkErrorCodeSchema.options) {
      const wait = retryAfterMs(code);
      expect(wait === null || wait > 0).toBe(true);
    }
    expect(retryAfterMs('bad-proof')).toBeNull();
  });
});
