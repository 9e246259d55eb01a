import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WindowClock } from '../../../agent/engine/window-clock.ts';
import { windowStart } from '../../../agent/engine/window-start.ts';

const WINDOW_MS = 2_000;

beforeEach(() => vi.useFakeTimers({ now: 10_000 }));
afterEach(() => vi.useRealTimers());

it('cuts each window once, though a timer is up before the clock of the day says so', () => {
  const cuts: number[] = [];
  const clock = new WindowClock(1, (_, startMs) => cuts.push(startMs));
  clock.open(WINDOW_MS);
  // The clock of the day is slowed down a little, as NTP does: timers know nothing of it.
  for (const nth of [1, 2, 3]) {
    vi.setSystemTime(Date.now() - 1);
    vi.advanceTimersToNextTimer();
    expect(Date.now()).toBe(10_000 + nth * WINDOW_MS - 1);
  }
  clock.keepOnly(new Set());
  expect(cuts).toEqual([10_000, 12_000, 14_000]);
});

it.each([
  ['on a multiple of the length', 10_000, 10_000],
  ['within it', 11_994, 10_000],
  ['a timer early', 11_999, 12_000],
])('a window that is open %s began at a multiple', (_, now, start) => {
  expect(windowStart(now, WINDOW_MS)).toBe(start);
});
