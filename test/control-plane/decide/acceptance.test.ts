import { describe, expect, it } from 'vitest';
import { type Fleet, nullAlarms, windowsToFind } from '../../support/simulated-fleet.ts';

/** `research/monitoring.md` (iii) H.1 and H.2. The whole table, 30 days each, is `bench/evaluate/null.ts`. */
const FLEET: Fleet = {
  features: 50,
  windowRows: 500,
  referenceRows: 10_000,
  windowMs: 300_000,
  seed: 1,
};
const DAY = 288;
const LEARNING = 20;

describe('H.1: without drift, 50 features and 288 windows a day', () => {
  it('raise at most one alarm in 30 days of windows of 500 rows', () => {
    expect(nullAlarms(FLEET, 30 * DAY)).toBeLessThanOrEqual(1);
  }, 60_000);

  it.each([
    { windowRows: 200, referenceRows: 2_000 },
    { windowRows: 500, referenceRows: 2_000 },
    // The trap of a shared reference: each window is larger than what it is compared with.
    { windowRows: 4_000, referenceRows: 2_000 },
  ])('raise none in a day of %o', (sizes) => {
    expect(nullAlarms({ ...FLEET, ...sizes, seed: 2 }, DAY)).toBe(0);
  });
});

describe('H.2: a shift of one feature of 50, windows of 500 rows', () => {
  const found = (shift: number, most: number) =>
    Array.from({ length: 10 }, (_, seed) =>
      windowsToFind({ ...FLEET, seed }, shift, LEARNING, most),
    );

  it('of 0.3 σ is found within 3 windows', () => {
    expect(found(0.3, 3)).not.toContain(null);
  }, 30_000);

  it('of 0.2 σ is found within 12 windows', () => {
    expect(found(0.2, 12)).not.toContain(null);
  }, 30_000);
});
