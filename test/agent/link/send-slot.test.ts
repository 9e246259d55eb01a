import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SendSlot } from '../../../agent/link/send-slot.ts';

describe('TELEM-11: what a host has counted', () => {
  let begunMs: number;
  let sentMs: number[];
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    begunMs = performance.now();
    sentMs = [];
  });
  afterEach(() => vi.useRealTimers());
  const slotAt = (place: number) =>
    new SendSlot(() => sentMs.push(Math.round(performance.now() - begunMs)), place);

  it.each([
    ['a tenth of the window behind its end', 0.5, 30_000, 1_500],
    ['five seconds, however long the window is', 0.5, 3_600_000, 2_500],
    ['no time at all', 0, 30_000, 0],
  ])('is sent once, within %s', (_, place, windowMs, afterMs) => {
    const slot = slotAt(place);
    slot.ended(windowMs);
    slot.ended(windowMs);
    vi.advanceTimersByTime(20_000);
    expect(sentMs).toEqual([afterMs]);
  });

  it('goes with the window that is due first', () => {
    const slot = slotAt(0.9);
    slot.ended(60_000);
    slot.ended(1_000);
    vi.advanceTimersByTime(20_000);
    expect(sentMs).toEqual([90]);
    slot.ended(1_000);
    slot.ended(60_000);
    vi.advanceTimersByTime(20_000);
    expect(sentMs).toEqual([90, 20_090]);
  });

  it('is sent at once by a host that stops, and nothing by one that has nothing', () => {
    const slot = slotAt(0.9);
    slot.now();
    expect(sentMs).toEqual([]);
    slot.ended(60_000);
    slot.now();
    vi.advanceTimersByTime(20_000);
    expect(sentMs).toEqual([0]);
  });

  it('of a fleet comes spread over that time', () => {
    for (let host = 0; host < 1_000; host += 1) {
      new SendSlot(() => sentMs.push(Math.round(performance.now() - begunMs))).ended(30_000);
    }
    vi.advanceTimersByTime(3_000);
    expect(sentMs).toHaveLength(1_000);
    const perTenth = Array.from(
      { length: 10 },
      (_, at) => sentMs.filter((ms) => ms >= at * 300 && ms < (at + 1) * 300).length,
    );
    // 100 each; 50 off is five standard deviations.
    expect(Math.max(...perTenth)).toBeLessThan(150);
    expect(Math.min(...perTenth)).toBeGreaterThan(50);
  });
});
