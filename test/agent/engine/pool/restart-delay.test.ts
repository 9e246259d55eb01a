import { describe, expect, it } from 'vitest';
import { RestartDelay } from '../../../../agent/engine/pool/restart-delay.ts';

describe('the wait before a dead engine is replaced', () => {
  it('doubles with each death, up to five seconds', () => {
    const delay = new RestartDelay();
    const waits = Array.from({ length: 8 }, (_, k) => delay.died(k));
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  it('forgets deaths that are half a minute old', () => {
    const delay = new RestartDelay();
    expect([delay.died(0), delay.died(10_000), delay.died(30_000)]).toEqual([100, 200, 200]);
    expect(delay.died(100_000)).toBe(100);
  });
});
