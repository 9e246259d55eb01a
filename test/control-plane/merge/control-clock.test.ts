import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onControlClock } from '../../../control-plane/merge/control-clock.ts';

const START = 1_800_000_000_000;
const window = { windowStartMs: START, windowMs: 10_000 };

describe("CLOCK-2: a window's start on the control plane's clock", () => {
  it.each([
    [null, START],
    [0, START],
    [2_000, START],
    [-2_000, START],
    // Within half a window: it lies where those of hosts with a good clock lie.
    [4_900, START],
    [5_100, START - 10_000],
    [-5_100, START + 10_000],
    [3_600_000, START - 3_600_000],
    [-86_400_000, START + 86_400_000],
  ])('with a clock that is %s ms ahead is %i', (ahead, start) => {
    expect(onControlClock(window, ahead)).toBe(start);
  });

  it('is a multiple of its length within half of it, and never before the epoch', () => {
    const anyLength = fc.integer({ min: 500, max: 3_600_000 });
    fc.assert(
      fc.property(
        anyLength,
        fc.nat(1e6),
        fc.integer({ min: -1e12, max: 1e12 }),
        (length, k, ahead) => {
          const windowStartMs = k * length;
          const moved = onControlClock({ windowStartMs, windowMs: length }, ahead);
          expect(moved % length).toBe(0);
          expect(moved).toBeGreaterThanOrEqual(0);
          if (Math.abs(ahead) > 2_000 && windowStartMs - ahead > 0) {
            expect(Math.abs(moved - (windowStartMs - ahead))).toBeLessThanOrEqual(length / 2);
          }
        },
      ),
    );
  });
});
