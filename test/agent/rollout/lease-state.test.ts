import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterDocument,
  afterRenewal,
  afterSettling,
  afterWelcome,
  controlNow,
  keptLeases,
  type LeaseState,
  lapsesAt,
  NO_LEASES,
  restoredLeases,
  withLeases,
} from '../../../agent/rollout/lease-state.ts';

const LEASE = { durationMs: 10_000, afterwards: 'stop' as const };

/** Linked when both clocks stand at 0: the control plane's at 1,000,000 more than this host's uptime. */
const AHEAD = 1_000_000;
const linked = (roundTripMs = 0): LeaseState => {
  const at = afterWelcome(NO_LEASES, AHEAD, roundTripMs, roundTripMs);
  const document = afterDocument(at, { generation: 7, issuedAt: AHEAD }, roundTripMs);
  return afterSettling(withLeases(document, ['loans']), ['loans']);
};
const held = (state: LeaseState, uptimeMs: number) =>
  lapsesAt(state, 'loans', LEASE) > (controlNow(state, uptimeMs) ?? 0);
const renewed = (state: LeaseState, issuedAt: number, uptimeMs: number, generation = 7) =>
  afterSettling(afterRenewal(state, { generation, issuedAt }, uptimeMs), ['loans']);

describe('LEASE-1: a lease', () => {
  it('lasts for its duration from the time at which the control plane signed', () => {
    const state = linked();
    expect([held(state, 9_999), held(state, 10_000)]).toEqual([true, false]);
    const later = renewed(state, AHEAD + 4_000, 4_100);
    expect([held(later, 13_999), held(later, 14_000)]).toEqual([true, false]);
  });

  it('is shorter by the round trip in which the time was proved, and never longer', () => {
    const state = linked(500);
    expect([held(state, 9_999), held(state, 10_000)]).toEqual([true, false]);
  });

  it('whatever is held back, repeated or put in another order, is over a duration after it was last signed', () => {
    const message = fc.record({
      signedAt: fc.integer({ min: 0, max: 20_000 }),
      heldBackMs: fc.integer({ min: 0, max: 30_000 }),
      isDocument: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
        let state = linked();
        const arrivals = messages
          .map((each) => ({ ...each, at: each.signedAt + each.heldBackMs }))
          .sort((a, b) => a.at - b.at);
        let signed = 0;
        for (const { signedAt, at, isDocument } of arrivals) {
          const issuedAt = AHEAD + signedAt;
          state = isDocument
            ? afterSettling(afterDocument(state, { generation: 7, issuedAt }, at), ['loans'])
            : renewed(state, issuedAt, at);
          if (!isDocument) signed = Math.max(signed, signedAt);
          expect(held(state, at)).toBe(at < signed + LEASE.durationMs);
        }
      }),
    );
  });

  it('LEASE-2: of an older document is not renewed: the renewal names the newest', () => {
    const state = linked();
    expect(renewed(state, AHEAD + 5_000, 5_000, 8)).toEqual(afterSettling(state, ['loans']));
    expect(renewed(state, AHEAD + 5_000, 5_000, 6)).toEqual(afterSettling(state, ['loans']));
    const newer = afterDocument(state, { generation: 8, issuedAt: AHEAD + 6_000 }, 6_000);
    // Accepted and not carried out: what still runs lives on what it had.
    expect([held(newer, 9_999), held(newer, 10_000)]).toEqual([true, false]);
    const still = afterRenewal(newer, { generation: 8, issuedAt: AHEAD + 9_000 }, 9_000);
    expect(held(still, 10_000)).toBe(false);
    expect(held(afterSettling(still, ['loans']), 10_000)).toBe(true);
    // One that has only just been given a lease counts from that document, too.
    const given = withLeases(newer, ['loans', 'cards']);
    const told = afterRenewal(given, { generation: 8, issuedAt: AHEAD + 15_000 }, 15_000);
    expect(lapsesAt(told, 'cards', LEASE)).toBe(AHEAD + 16_000);
    expect(lapsesAt(withLeases(told, ['cards']), 'cards', LEASE)).toBe(AHEAD + 16_000);
  });

  it('follows a document of a new key that begins anew, whatever the old key vouched for', () => {
    const stolen = renewed(linked(), AHEAD + 9_000, 9_000);
    const welcomed = afterWelcome(stolen, AHEAD + 9_500, 0, 9_500);
    const anew = afterDocument(welcomed, { generation: 2, issuedAt: AHEAD + 8_000 }, 9_600);
    expect(lapsesAt(afterSettling(anew, ['loans']), 'loans', LEASE)).toBe(AHEAD + 18_000);
    const later = renewed(anew, AHEAD + 12_000, 12_000, 2);
    expect([held(later, 21_999), held(later, 22_000)]).toEqual([true, false]);
    expect(renewed(later, AHEAD + 20_000, 20_000, 7)).toEqual(later);
  });

  it('LEASE-2: of a newer document that a clock set back has dated earlier is renewed with that', () => {
    const before = renewed(linked(), AHEAD + 5_000, 5_000);
    const newer = afterDocument(before, { generation: 8, issuedAt: AHEAD - 3_600_000 }, 6_000);
    expect(held(afterSettling(newer, ['loans']), 14_999)).toBe(true);
    expect(held(renewed(newer, AHEAD + 7_000, 7_000, 8), 16_999)).toBe(true);
  });

  it('is not prolonged by a control plane whose clock was set back', () => {
    const state = renewed(linked(), AHEAD + 3_600_000, 1_000);
    const back = afterWelcome(state, AHEAD + 2_000, 0, 2_000);
    expect([held(back, 10_999), held(back, 11_000)]).toEqual([true, false]);
    // Nor is one that has lapsed given back.
    const over = afterWelcome(linked(), AHEAD + 1_000, 0, 20_000);
    expect(held(over, 20_000)).toBe(false);
    expect(held(renewed(over, AHEAD + 1_500, 20_500), 20_500)).toBe(true);
  });
});

describe('LEASE-3: over a restart', () => {
  const restart = (wallMs: number, uptimeMs: number) =>
    restoredLeases(keptLeases(linked(), 50_000, 4_000), wallMs, uptimeMs);

  it('what was left is left, less the time since by the wall clock or by uptime, whichever is more', () => {
    // Of the process alone: six seconds are left, of which three pass.
    expect([held(restart(53_000, 7_000), 9_999), held(restart(53_000, 7_000), 10_000)]).toEqual([
      true,
      false,
    ]);
    // Of the machine: uptime begins anew, and the wall clock knows.
    expect(held(restart(55_999, 100), 100)).toBe(true);
    expect(held(restart(56_000, 100), 100)).toBe(false);
  });

  it('a wall clock that was set back gives nothing back', () => {
    for (const wallMs of [0, 49_000, 50_000]) {
      expect(held(restart(wallMs, 9_999), 9_999)).toBe(true);
      expect(held(restart(wallMs, 10_000), 10_000)).toBe(false);
      // Not even with a reboot: the rest of the lease is the rest of it.
      expect(held(restart(wallMs, 0), 5_999)).toBe(true);
      expect(held(restart(wallMs, 0), 6_000)).toBe(false);
    }
  });
});
