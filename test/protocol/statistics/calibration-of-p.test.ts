import { describe, expect, it } from 'vitest';
import { chiSquare } from '../../../protocol/statistics/chi-square.ts';
import { psiLogP } from '../../../protocol/statistics/psi.ts';
import { equalShares, seededUniform } from './seeded.ts';

const TRIALS = 20_000;
const LOG_LEVEL = Math.log(0.01);

/** Counts of `rows` draws over equal cells, or over cells that halve from one to the next. */
function counts(uniform: () => number, rows: number, cells: number): Float64Array {
  const drawn = new Float64Array(cells);
  for (let row = 0; row < rows; row += 1) drawn[Math.floor(uniform() * cells)] += 1;
  return drawn;
}

/** Share of trials without any drift that a test at 1 % calls drift. */
function falseAlarms(
  seed: number,
  [n, m, cells]: readonly [number, number, number],
  logP: (reference: Float64Array, current: Float64Array) => number,
): number {
  const uniform = seededUniform(seed);
  let alarms = 0;
  for (let trial = 0; trial < TRIALS; trial += 1) {
    const [reference, current] = [counts(uniform, m, cells), counts(uniform, n, cells)];
    if (logP(reference, current) <= LOG_LEVEL) alarms += 1;
  }
  return alarms / TRIALS;
}

describe('H.8: at 1 %, no drift is called drift in 1 % of windows, give or take 0.3 %:', () => {
  it.each([
    [300, 300, 10],
    [500, 2000, 16],
    [1000, 500, 32],
  ] as const)('PSI of %d rows against %d on %d cells', (...sizes) => {
    const share = falseAlarms(1, sizes, psiLogP);
    expect(share).toBeGreaterThan(0.007);
    expect(share).toBeLessThan(0.013);
  });

  it.each([
    [100, 400, 4],
    [300, 300, 10],
    [500, 2000, 32],
  ] as const)('chi-square of %d rows against %d on %d cells', (...sizes) => {
    const share = falseAlarms(2, sizes, (before, now) => chiSquare(before, now).logP);
    expect(share).toBeGreaterThan(0.007);
    expect(share).toBeLessThan(0.013);
  });

  it('and drift is found', () => {
    const uniform = seededUniform(3);
    const shares = equalShares(10);
    const current = counts(uniform, 500, 10);
    current[0] += 60;
    expect(
      psiLogP(
        Float64Array.from(shares, () => 500),
        current,
      ),
    ).toBeLessThan(LOG_LEVEL);
    expect(psiLogP(new Float64Array(3), current.subarray(0, 3))).toBe(0);
  });
});
