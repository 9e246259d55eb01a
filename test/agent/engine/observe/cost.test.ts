import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CostMeter } from '../../../../agent/engine/observe/cost.ts';
import { emptyCost } from '../../../../protocol/sketch/cost.ts';

/** 3.6 an hour is 1 micro a millisecond. */
const PRICE = { perHour: 3.6, engines: 1 };

function meterOf(price: { perHour: number | null; engines: number } = PRICE) {
  const meter = new CostMeter(price, 1000);
  const costs = [emptyCost(), emptyCost()];
  return { meter, costs, arms: costs.map((cost) => meter.arm(() => cost)) };
}

describe('the cost of a device', () => {
  it('is paid by each arm for its own time, and idle time beside it in proportion', () => {
    const { meter, costs, arms } = meterOf();
    arms[0].computed(10);
    arms[0].computed(20);
    arms[1].computed(10);
    meter.settle(1100, 2);
    expect(costs[0]).toEqual({ computeUs: 30_000, priceMicros: 30, idleMicros: 45, energyJ: 1.5 });
    expect(costs[1]).toEqual({ computeUs: 10_000, priceMicros: 10, idleMicros: 15, energyJ: 0.5 });
  });

  it('is divided by the engines that share the device', () => {
    const { meter, costs, arms } = meterOf({ perHour: 3.6, engines: 4 });
    arms[0].computed(40);
    meter.settle(1100, null);
    expect(costs[0]).toEqual({ computeUs: 40_000, priceMicros: 10, idleMicros: 15, energyJ: 0 });
  });

  it('is not counted twice where threads compute more than the wall time, and none is idle', () => {
    const { meter, costs, arms } = meterOf();
    arms[0].computed(150);
    arms[1].computed(50);
    meter.settle(1100, null);
    expect(costs.map(({ priceMicros }) => priceMicros)).toEqual([75, 25]);
    expect(costs.map(({ idleMicros }) => idleMicros)).toEqual([0, 0]);
  });

  it('is nobody’s while nothing is computed, and of those that are left when an arm has gone', () => {
    const { meter, costs, arms } = meterOf();
    meter.settle(5000, 9);
    expect(costs).toEqual([emptyCost(), emptyCost()]);
    arms[0].computed(10);
    meter.remove(arms[0]);
    arms[1].computed(10);
    meter.settle(5100, null);
    expect(costs[0]).toEqual(emptyCost());
    expect(costs[1]).toMatchObject({ priceMicros: 10, idleMicros: 90 });
  });

  it('is time alone where no price is known', () => {
    const { meter, costs, arms } = meterOf({ perHour: null, engines: 1 });
    arms[0].computed(10);
    meter.settle(1100, null);
    expect(costs[0]).toEqual({ computeUs: 10_000, priceMicros: 0, idleMicros: 0, energyJ: 0 });
  });

  it('adds up to what the engine cost, however calls and readings fall', () => {
    const calls = fc.array(fc.tuple(fc.nat(1), fc.double({ min: 0.01, max: 50, noNaN: true })), {
      minLength: 1,
      maxLength: 8,
    });
    const readings = fc.array(fc.record({ calls, wallMs: fc.integer({ min: 1, max: 200 }) }));
    fc.assert(
      fc.property(readings, (intervals) => {
        const { meter, costs, arms } = meterOf();
        let now = 1000;
        for (const { calls: made, wallMs } of intervals) {
          for (const [arm, ms] of made) arms[arm].computed(ms);
          now += wallMs;
          meter.settle(now, 1);
        }
        const total = costs.reduce((sum, cost) => sum + cost.priceMicros + cost.idleMicros, 0);
        expect(total).toBeCloseTo(now - 1000, 6);
        expect(costs[0].energyJ + costs[1].energyJ).toBeCloseTo(intervals.length, 9);
      }),
    );
  });
});
