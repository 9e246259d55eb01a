import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addEvidence, logEvidence, NO_EVIDENCE } from '../../../control-plane/decide/e-process.ts';
import { logRateTest } from '../../../control-plane/decide/rate-test.ts';
import { logEValue } from '../../../protocol/statistics/e-value.ts';
import { seeded } from '../../support/synthetic-windows.ts';

describe('the e-process', () => {
  it('equals the mixture over start times, computed term by term', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -2, max: 3, noNaN: true }), { maxLength: 20 }),
        (logs) => {
          let process = NO_EVIDENCE;
          for (const logE of logs) process = addEvidence(process, logE);
          let sum = 1 / (logs.length + 1);
          for (let k = 1; k <= logs.length; k += 1) {
            const tail = logs.slice(k - 1).reduce((total, logE) => total + logE, 0);
            sum += Math.exp(tail) / (k * (k + 1));
          }
          expect(logEvidence(process)).toBeCloseTo(Math.log(sum), 8);
        },
      ),
    );
  });

  it('reaches 1000 in fewer than 1 in 1000 null histories, looked at after every step', () => {
    const random = seeded(11);
    let reached = 0;
    for (let run = 0; run < 3_000; run += 1) {
      let process = NO_EVIDENCE;
      let highest = 0;
      for (let step = 0; step < 100; step += 1) {
        process = addEvidence(process, logEValue(Math.log(1 - random())));
        highest = Math.max(highest, logEvidence(process));
      }
      if (highest >= Math.log(1000)) reached += 1;
    }
    expect(reached).toBeLessThanOrEqual(6);
  });
});

describe('the rate test', () => {
  // By hand: P(Binomial(4, 1/2) >= 3) = 5/16, and P(Binomial(1, 10/10010) >= 1) = 10/10010.
  it('agrees with the exact conditional binomial test', () => {
    const even = logRateTest({ events: 1, trials: 50 }, { events: 3, trials: 50 });
    expect(Math.exp(even)).toBeCloseTo(0.3125, 10);
    const rare = logRateTest({ events: 0, trials: 10_000 }, { events: 1, trials: 10 });
    expect(Math.exp(rare)).toBeCloseTo(10 / 10_010, 10);
  });

  it('is one-sided: fewer errors are no evidence', () => {
    const better = logRateTest({ events: 30, trials: 100 }, { events: 0, trials: 100 });
    expect(better).toBeCloseTo(0, 10);
    expect(logRateTest({ events: 0, trials: 9 }, { events: 0, trials: 9 })).toBe(0);
  });
});
