import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  alwaysValidGap,
  alwaysValidRatio,
} from '../../../protocol/statistics/confidence-sequence.ts';
import {
  jointVerdict,
  judgeGap,
  judgeParity,
  judgeRatio,
  rowsStillNeeded,
} from '../../../protocol/statistics/fairness-verdict.ts';
import { newcombe, rateOf, type Trials } from '../../../protocol/statistics/trials.ts';
import { seededUniform } from './seeded.ts';

const LIMITS = { difference: 0.1, ratio: 0.8 };

/** Two groups whose rows come in turn; `look` sees both after each row and ends the stream by true. */
function streams(
  seed: number,
  rates: readonly [number, number],
  part: number,
  rows: number,
  look: (a: Trials, b: Trials) => boolean,
): boolean {
  const uniform = seededUniform(seed);
  const counts = [
    { hits: 0, trials: 0 },
    { hits: 0, trials: 0 },
  ];
  for (let row = 0; row < rows; row += 1) {
    const side = uniform() < part ? 0 : 1;
    counts[side].trials += 1;
    counts[side].hits += Number(uniform() < rates[side]);
    if (look(counts[0], counts[1])) return true;
  }
  return false;
}

function share(trials: number, of: (seed: number) => boolean): number {
  let hits = 0;
  for (let seed = 1; seed <= trials; seed += 1) hits += Number(of(seed));
  return hits / trials;
}

const STREAMS = 200;
/** 0.05 and twice the chance error of STREAMS streams: of 1000 streams, at most 0.045 miss in any of these cases. */
const AT_MOST = 0.05 + 2 * Math.sqrt((0.05 * 0.95) / STREAMS);

describe('a confidence sequence of a gap', () => {
  it.each([
    [0.45, 0.45, 0.5],
    [0.5, 0.4, 0.1],
    [0.05, 0.05, 0.3],
    [0.9, 0.8, 0.5],
    [0.02, 0.05, 0.5],
  ])(
    'misses it at any of 10,000 looks in at most 5 of 100 streams: rates %d and %d, part %d',
    (p, q, part) => {
      const missed = (seed: number) =>
        streams(seed, [p, q], part, 10_000, (a, b) => {
          const sequence = alwaysValidGap(a, b, 0.05);
          return sequence !== null && !(sequence.low <= p - q && p - q <= sequence.high);
        });
      expect(share(STREAMS, missed)).toBeLessThanOrEqual(AT_MOST);
    },
  );

  it.each([
    [0.45, 0.45, 0.5],
    [0.4, 0.5, 0.2],
    [0.08, 0.1, 0.5],
  ])('of a ratio as well: rates %d and %d, part %d', (p, q, part) => {
    const missed = (seed: number) =>
      streams(seed, [p, q], part, 10_000, (a, b) => {
        const sequence = alwaysValidRatio(a, b, 0.05);
        return sequence !== null && !(sequence.low <= p / q && p / q <= sequence.high);
      });
    expect(share(200, missed)).toBeLessThanOrEqual(0.05);
  });

  it('is what an interval of one look is not: that misses in a third', () => {
    const missed = (seed: number) =>
      streams(seed, [0.45, 0.45], 0.5, 10_000, (a, b) => {
        if (Math.min(a.hits, b.hits) < 10) return false;
        const { low, high } = newcombe(a, b);
        return low > 0 || high < 0;
      });
    expect(share(100, missed)).toBeGreaterThan(0.3);
  });

  it('starts with ten hits and ten misses on each side, and narrows from there', () => {
    const [a, b] = [
      { hits: 10, trials: 20 },
      { hits: 10, trials: 19 },
    ];
    expect(alwaysValidGap(a, b, 0.05)).toBeNull();
    expect(alwaysValidRatio(b, a, 0.05)).toBeNull();
    const width = (rows: number) => {
      const side = { hits: rows / 2, trials: rows };
      const { low, high } = alwaysValidGap(side, side, 0.05) ?? { low: 0, high: 0 };
      return high - low;
    };
    expect(width(100)).toBeGreaterThan(width(1000));
    expect(width(1000)).toBeGreaterThan(2 * width(10_000));
    expect(Number.isFinite(alwaysValidGap(a, a, 1e-300)?.high)).toBe(true);
  });
});

describe('verdicts', () => {
  it('need the whole sequence on one side of the limit', () => {
    expect(judgeGap({ low: 0.11, high: 0.3 }, 0.1)).toBe('violates');
    expect(judgeGap({ low: -0.3, high: -0.11 }, 0.1)).toBe('violates');
    expect(judgeGap({ low: -0.09, high: 0.09 }, 0.1)).toBe('complies');
    expect(judgeGap({ low: 0.05, high: 0.2 }, 0.1)).toBe('insufficient');
    expect(judgeGap(null, 0.1)).toBe('insufficient');
    expect(judgeRatio({ low: 0.5, high: 0.79 }, 0.8)).toBe('violates');
    expect(judgeRatio({ low: 1.3, high: 2 }, 0.8)).toBe('violates');
    expect(judgeRatio({ low: 0.81, high: 1.2 }, 0.8)).toBe('complies');
    expect(judgeRatio({ low: 0.7, high: 1 }, 0.8)).toBe('insufficient');
    expect(jointVerdict([])).toBe('insufficient');
    expect(jointVerdict(['complies', 'insufficient', 'violates'])).toBe('violates');
    expect(jointVerdict(['complies', 'complies'])).toBe('complies');
  });

  it('call a fair model of the sizes of COMPAS unfair in at most 5 of 100 streams, looked at every five minutes for a week', () => {
    let cumulated = 0;
    const upTo = [3175, 2103, 509, 343, 31, 11].map((rows) => {
      cumulated += rows / 6172;
      return cumulated;
    });
    const unfair = (seed: number) => {
      const uniform = seededUniform(seed);
      const groups = upTo.map(() => ({ hits: 0, trials: 0 }));
      for (let look = 0; look < 2016; look += 1) {
        for (let row = 0; row < 10; row += 1) {
          const drawn = uniform();
          const group =
            groups[
              Math.max(
                0,
                upTo.findIndex((end) => drawn < end),
              )
            ];
          group.trials += 1;
          group.hits += Number(uniform() < 0.45);
        }
        const { verdict } = judgeParity(groups.slice(1), groups[0], LIMITS);
        if (verdict === 'violates') return true;
      }
      return false;
    };
    expect(share(60, unfair)).toBeLessThanOrEqual(0.05);
  });

  it('call a model at the limit itself unfair in at most 5 of 100 streams, and one beyond it soon', () => {
    const unfair = (rates: readonly [number, number], rows: number) => (seed: number) =>
      streams(
        seed,
        rates,
        0.5,
        rows,
        (a, b) => judgeGap(alwaysValidGap(a, b, 0.05), 0.1) === 'violates',
      );
    expect(share(200, unfair([0.5, 0.4], 10_000))).toBeLessThanOrEqual(0.05);
    expect(share(50, unfair([0.6, 0.3], 1500))).toBeGreaterThan(0.9);
  });

  it('say how many rows are missing, and with those the verdict comes', () => {
    const needed = (a: Trials, b: Trials) => rowsStillNeeded(a, b, 0.1, 0.05);
    const [small, large] = [
      { hits: 40, trials: 100 },
      { hits: 380, trials: 1000 },
    ];
    const more = needed(small, large);
    expect(more).toBeGreaterThan(200);
    const grown = (side: Trials) => {
      const times = (small.trials + more) / small.trials;
      return { hits: side.hits * times, trials: side.trials * times };
    };
    const judged = alwaysValidGap(grown(small), grown(large), 0.05);
    expect(judgeGap(judged, 0.1)).toBe('complies');
    expect(needed(grown(small), grown(large))).toBe(0);
    const almost = { hits: grown(small).hits * 0.9, trials: grown(small).trials * 0.9 };
    expect(needed(almost, grown(large))).toBeGreaterThan(0);
    expect(needed({ hits: 0, trials: 0 }, { hits: 0, trials: 0 })).toBeGreaterThan(100);
  });

  it('ask for a whole finite number of rows of any counts', () => {
    const side = fc.tuple(fc.nat(100_000), fc.nat(100_000)).map(([hits, misses]) => ({
      ...{ hits, trials: hits + misses },
    }));
    fc.assert(
      fc.property(side, side, (a, b) => {
        const rows = rowsStillNeeded(a, b, 0.1, 0.01);
        expect(Number.isSafeInteger(rows) && rows >= 0, `${rows}`).toBe(true);
        const sequence = alwaysValidGap(a, b, 0.01);
        if (sequence === null) return;
        expect(
          sequence.low <= rateOf(a) - rateOf(b) && rateOf(a) - rateOf(b) <= sequence.high,
        ).toBe(true);
      }),
    );
  });
});
