import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AdmissionBucket } from '../../../control-plane/link/admission-bucket.ts';
import { MAX_PROMISE_MS } from '../../../protocol/limits.ts';

const rates = fc.record({
  perSecond: fc.integer({ min: 1, max: 2_000 }),
  burst: fc.integer({ min: 1, max: 500 }),
});

it('LINK-8: lets in no more than its burst and its rate, however they come', () => {
  fc.assert(
    fc.property(
      rates,
      fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 2_000 }),
      (rate, gaps) => {
        const bucket = new AdmissionBucket(rate);
        const admitted: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          if (bucket.take(now) === 0) admitted.push(now);
        }
        for (let from = 0; from < admitted.length; from += 7) {
          for (let to = from; to < admitted.length; to += 5) {
            const ms = admitted[to] - admitted[from] + 1;
            const most = rate.burst + (ms * rate.perSecond) / 1000;
            expect(to - from + 1).toBeLessThanOrEqual(most + 1e-6);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

it('promises each a later place than the one before, at the rate, and keeps its word', () => {
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 3_000 }), (rate, hosts) => {
      const bucket = new AdmissionBucket(rate);
      const now = 1_000;
      const waits = Array.from({ length: hosts }, () => bucket.take(now)).filter((ms) => ms > 0);
      // At high rates one more is let in as good as in time.
      const spare = rate.burst + Math.ceil(rate.perSecond / 1000);
      expect(waits.length).toBeGreaterThanOrEqual(hosts - spare);
      expect(waits.length).toBeLessThanOrEqual(Math.max(0, hosts - rate.burst));
      const last = Math.min(MAX_PROMISE_MS, (hosts * 1000) / rate.perSecond + 1);
      for (const [at, ms] of waits.entries()) {
        expect(ms).toBeGreaterThanOrEqual(at === 0 ? 1 : waits[at - 1]);
        expect(ms).toBeLessThanOrEqual(last);
      }
      // Those who come when they were told to are let in, but for the last ones of a promise that was cut short.
      const kept = waits.filter((ms) => ms < MAX_PROMISE_MS);
      expect(kept.filter((ms) => bucket.take(now + ms) === 0)).toHaveLength(kept.length);
    }),
    { numRuns: 200 },
  );
});
