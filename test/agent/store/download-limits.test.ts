import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DownloadLimits } from '../../../agent/store/download-limits.ts';
import { BURST_MS, Pace } from '../../../agent/store/pace.ts';

const never = new AbortController().signal;

describe('DOWNLOAD-1: downloads of one host', () => {
  it('are so many at a time, and each has its turn', async () => {
    const limits = new DownloadLimits({ concurrent: 2, bytesPerSecond: null });
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const work = (name: number) => () =>
      new Promise<number>((resolve) => {
        begun.push(name);
        ends.push(() => resolve(name));
      });
    const all = [1, 2, 3, 4].map((name) => limits.run(never, work(name)));
    await new Promise(setImmediate);
    expect(begun).toEqual([1, 2]);
    ends[1]();
    await all[1];
    await new Promise(setImmediate);
    expect(begun).toEqual([1, 2, 3]);
    ends[0]();
    ends[2]();
    await new Promise(setImmediate);
    ends[3]();
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
  });

  it('that are given up while they wait take nobody’s turn, nor do those that fail', async () => {
    const limits = new DownloadLimits({ concurrent: 1, bytesPerSecond: null });
    const abort = new AbortController();
    let end: () => void = () => undefined;
    const first = limits.run(never, () => new Promise<void>((resolve) => (end = resolve)));
    const second = limits.run(abort.signal, async () => 'second');
    const third = limits.run(never, async () => {
      throw new Error('third');
    });
    const fourth = limits.run(never, async () => 'fourth');
    abort.abort(new Error('superseded'));
    await expect(second).rejects.toThrow('superseded');
    end();
    await first;
    await expect(third).rejects.toThrow('third');
    expect(await fourth).toBe('fourth');
    expect(await limits.run(never, async () => 'free')).toBe('free');
  });

  it('take no more of the line than they may, whatever comes when', () => {
    const anySteps = fc.array(
      fc.record({ bytes: fc.integer({ min: 1, max: 300_000 }), idleMs: fc.nat({ max: 500 }) }),
      { minLength: 1, maxLength: 50 },
    );
    fc.assert(
      fc.property(anySteps, fc.integer({ min: 65_536, max: 10_000_000 }), (steps, rate) => {
        const pace = new Pace(rate);
        let now = 0;
        let bytes = 0;
        let idleMs = 0;
        for (const step of steps) {
          now += step.idleMs;
          idleMs += step.idleMs;
          bytes += step.bytes;
          now += pace.waitMs(step.bytes, now);
          expect((now + BURST_MS) * rate).toBeGreaterThanOrEqual(bytes * 1000 - 1);
        }
        // And no less: it waits for what it has taken, and for nothing else.
        expect(now).toBeLessThanOrEqual(idleMs + (bytes * 1000) / rate + 1);
      }),
    );
  });
});
