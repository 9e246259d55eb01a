import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH_SIZES, combinationsFor } from '../../../agent/tune/combinations.ts';
import { recommend } from '../../../agent/tune/recommend.ts';
import { MAX_TUNING_ROWS } from '../../../protocol/limits.ts';
import { servingSchema } from '../../../protocol/serving.ts';
import type { TuningRow } from '../../../protocol/tuning.ts';

/** `inline` or `workers x threads`, batch size, us per call, rows per second. */
function row(place: string, batchSize: number, callUs: number, rowsPerSecond: number): TuningRow {
  const [workers = '0', threads = '1'] = place === 'inline' ? [] : place.split('x');
  const placement = place === 'inline' ? 'inline' : 'worker';
  const [count, intraOpThreads] = [Number(workers), Number(threads)];
  return { placement, workers: count, intraOpThreads, batchSize, callUs, rowsPerSecond };
}

const chosen = (...rows: TuningRow[]) => recommend(rows).recommended;

describe('a recommendation', () => {
  it('is inline below 200 us, however fast workers are', () => {
    const fast = [row('inline', 1, 199, 5000), row('1x2', 1, 90, 9000)];
    expect(chosen(...fast)).toMatchObject({ placement: 'inline', intraOpThreads: 1 });
    const slow = [row('inline', 1, 200, 5000), row('1x2', 1, 300, 3000)];
    expect(chosen(...slow)).toMatchObject({ placement: 'worker', workers: 1, intraOpThreads: 2 });
    expect(chosen(row('inline', 1, 5000, 200))).toMatchObject({ placement: 'inline' });
  });

  it('is the smallest latency of one row; where that is the same, more rows; then fewer threads', () => {
    const latency = [row('2x1', 1, 2000, 1000), row('1x2', 1, 1000, 900)];
    expect(chosen(...latency)).toMatchObject({ workers: 1, intraOpThreads: 2 });
    const rows = [row('1x1', 1, 1000, 1000), row('2x1', 1, 1090, 1800)];
    expect(chosen(...rows)).toMatchObject({ workers: 2 });
    const threads = [row('4x1', 1, 1000, 1900), row('2x1', 1, 1000, 1800)];
    expect(chosen(...threads)).toMatchObject({ workers: 2 });
  });

  it('batches as little as gives within 10 % of the most rows', () => {
    const sizes = (...perSecond: number[]) =>
      chosen(...perSecond.map((rows, at) => row('inline', 2 ** at, 100, rows))).batching;
    expect(sizes(1000, 1900, 3000, 3290, 9000)).toEqual({ maxBatchSize: 16 });
    expect(sizes(1000, 1900, 3000, 3290, 3290)).toEqual({ maxBatchSize: 4 });
    expect(sizes(1000, 1090, 1050)).toEqual({ maxBatchSize: 1 });
    expect(sizes(1000, 900, 5000)).toEqual({ maxBatchSize: 4 });
  });

  it('leaves batching off for a model whose batch is fixed', () => {
    expect(chosen(row('inline', 16, 100, 1000)).batching).toEqual({ maxBatchSize: 1 });
  });

  it('says why, and is always a valid setting', () => {
    expect(recommend([row('inline', 1, 50, 1)]).reason).toBe(
      'a call takes 50 us, under 200: inline; inline, 1 thread, up to 1 rows a call',
    );
    const anyRow = fc
      .tuple(
        fc.constantFrom('inline', '1x1', '2x1', '1x2'),
        fc.constantFrom(...BATCH_SIZES),
        fc.double({ min: 0.1, max: 1e6, noNaN: true }),
        fc.double({ min: 0.1, max: 1e6, noNaN: true }),
      )
      .map(([place, size, us, rows]) => row(place, size, us, rows));
    fc.assert(
      fc.property(fc.array(anyRow, { minLength: 1, maxLength: 30 }), (rows) => {
        expect(servingSchema.safeParse(recommend(rows).recommended).success).toBe(true);
      }),
    );
  });
});

describe('the combinations tried', () => {
  it.each([1, 2, 3, 4, 8, 16, 64])('never ask %i cores for more threads than they are', (cores) => {
    const all = combinationsFor(cores);
    for (const { placement, workers, intraOpThreads } of all) {
      expect(Math.max(1, workers) * intraOpThreads).toBeLessThanOrEqual(Math.max(1, cores));
      expect(placement === 'inline').toBe(workers === 0);
    }
    expect(new Set(all.map((each) => JSON.stringify(each))).size).toBe(all.length);
    expect(all.length * BATCH_SIZES.length).toBeLessThanOrEqual(MAX_TUNING_ROWS);
  });

  it('begin with what says most', () => {
    expect(combinationsFor(2)).toEqual([
      { placement: 'inline', workers: 0, intraOpThreads: 1 },
      { placement: 'worker', workers: 1, intraOpThreads: 1 },
      { placement: 'worker', workers: 1, intraOpThreads: 2 },
      { placement: 'worker', workers: 2, intraOpThreads: 1 },
      { placement: 'inline', workers: 0, intraOpThreads: 2 },
    ]);
  });
});
