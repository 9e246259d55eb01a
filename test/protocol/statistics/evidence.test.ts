import { describe, expect, it } from 'vitest';
import { INITIAL_LOG_M, logAlarmLevel, nextLogM } from '../../../protocol/statistics/e-detector.ts';
import { logEValue } from '../../../protocol/statistics/e-value.ts';
import { REFERENCE, relativeError } from './reference.ts';
import { seededUniform } from './seeded.ts';

describe('e-value', () => {
  it('follows the calibrator for tiny p and p near 1', () => {
    for (const [logP, logE] of REFERENCE.logEValue) {
      expect(relativeError(logEValue(logP), logE), `${logP}`).toBeLessThan(1e-13);
    }
    expect(logEValue(0)).toBe(Math.log(0.5));
    expect(logEValue(1e-18)).toBe(Math.log(0.5));
    expect(logEValue(-Infinity)).toBe(Infinity);
  });

  it('falls as p grows, also where the two formulas meet', () => {
    let last = Infinity;
    for (let logP = -3; logP <= 0; logP += 0.001) {
      expect(logEValue(logP)).toBeLessThan(last);
      last = logEValue(logP);
    }
  });

  it('has mean 1 over uniform p', () => {
    // ∫ e(p) dp = (p − 1) / ln p, which is 1 at p = 1 and 0 at p = 0.
    const steps = 400_000;
    const from = Math.log(1e-6);
    let integral = 0;
    for (let k = 0; k < steps; k += 1) {
      const logP = from * (1 - (k + 0.5) / steps);
      integral += Math.exp(logEValue(logP) + logP) * (-from / steps);
    }
    const antiderivative = (p: number) => (p - 1) / Math.log(p);
    expect(integral).toBeCloseTo(1 - antiderivative(1e-6), 8);
  });
});

describe('e-detector', () => {
  it('is M ← (M + 1) e in logarithms', () => {
    let logM = INITIAL_LOG_M;
    let m = 0;
    for (const e of [0.5, 3, 0.1, 40, 1, 0.5]) {
      logM = nextLogM(logM, Math.log(e));
      m = (m + 1) * e;
      expect(logM).toBeCloseTo(Math.log(m), 12);
    }
    expect(nextLogM(5000, 3000)).toBe(8000);
    expect(nextLogM(INITIAL_LOG_M, Infinity)).toBe(Infinity);
    expect(nextLogM(Infinity, -3)).toBe(Infinity);
  });

  it('has at most one false alarm in A steps on average', () => {
    const uniform = seededUniform(3);
    const level = logAlarmLevel(2, 50, 5);
    expect(level).toBeCloseTo(Math.log(500), 12);
    const steps = 400_000;
    let alarms = 0;
    let logM = INITIAL_LOG_M;
    for (let step = 0; step < steps; step += 1) {
      logM = nextLogM(logM, logEValue(Math.log(1 - uniform())));
      if (logM < level) continue;
      alarms += 1;
      logM = INITIAL_LOG_M;
    }
    expect(alarms).toBeGreaterThan(0);
    expect(alarms).toBeLessThanOrEqual(steps / 500);
  });

  it('takes three p-values of 1e-4 in a row at 50 features, 288 windows a day and 30 days', () => {
    const level = logAlarmLevel(50, 288, 30);
    const logE = logEValue(Math.log(1e-4));
    let logM = INITIAL_LOG_M;
    for (let window = 0; window < 2; window += 1) logM = nextLogM(logM, logE);
    expect(logM).toBeLessThan(level);
    logM = nextLogM(logM, logE);
    expect(logM).toBeGreaterThan(level);
  });
});
