import { describe, expect, it } from 'vitest';
import { chosenColumns } from '../../../control-plane/offline/chosen-columns.ts';
import { compareRows, type DriftReport } from '../../../control-plane/offline/compare.ts';
import { outcomeOf } from '../../../control-plane/offline/outcome.ts';
import type { ColumnData, Table } from '../../../control-plane/offline/table.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';

const FEATURES = 50;

/** Box and Muller (1958). */
function normal(uniform: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A fifth each: normal, lognormal, half zeros, whole numbers, categories. */
function drawn(uniform: () => number, feature: number, rows: number, shift: number): ColumnData {
  if (feature % 5 === 4) {
    const values = Array.from({ length: rows }, () => `v${Math.floor(uniform() ** 2 * 12)}`);
    return { kind: 'cells', values };
  }
  const shapes = [
    () => normal(uniform) + shift,
    () => Math.exp(normal(uniform)),
    () => (uniform() < 0.5 ? 0 : uniform()),
    () => Math.floor(uniform() * 20),
  ];
  return {
    kind: 'numbers',
    values: Float64Array.from({ length: rows }, shapes[feature % 5]),
    missing: 0,
  };
}

function tableOf(name: string, seed: number, rows: number, shift = 0): Table {
  const uniform = seededUniform(seed);
  const data = Array.from({ length: FEATURES }, (_, k) =>
    drawn(uniform, k, rows, k === 0 ? shift : 0),
  );
  const columns = data.map((_, k) => ({ name: `f${k}`, reason: null }));
  return {
    name,
    columns,
    rows,
    reading: 'together',
    async *blocks(names) {
      yield { firstRow: 0, rows, data: names.map((one) => data[Number(one.slice(1))]) };
    },
    close: async () => {},
  };
}

async function compared(
  seed: number,
  before: number,
  now: number,
  shift = 0,
): Promise<DriftReport> {
  const reference = tableOf('reference', 2 * seed, before);
  const current = tableOf('current', 2 * seed + 1, now, shift);
  return (await outcomeOf(reference, current, chosenColumns(reference, current, {}))).report;
}

describe('rows from one distribution, 50 features', () => {
  it('alert in at most 1 % of 200 runs', async () => {
    let alerts = 0;
    for (let run = 0; run < 200; run += 1) {
      const { verdict } = await compared(run, 400, 250);
      alerts += Number(verdict === 'alert' || verdict === 'watch');
    }
    expect(alerts).toBeLessThanOrEqual(2);
  });

  it.each([50, 100, 199])(
    'say that %i current rows are too few, and nothing else',
    async (rows) => {
      for (let run = 0; run < 10; run += 1) {
        const { features, verdict } = await compared(run, 2000, rows);
        expect(verdict).toBe('insufficient');
        expect(features.every((feature) => feature.verdict === 'insufficient')).toBe(true);
      }
    },
  );

  it('are quiet from 200 rows on, where fixed thresholds fire in a third of the runs', async () => {
    for (let run = 500; run < 530; run += 1) {
      const { verdict } = await compared(run, 2000, 200);
      expect(verdict).toBe('ok');
    }
  });
});

it('a shift of 0.3 sigma in one of 50 features is found in 2,000 rows, and only that one', async () => {
  for (let run = 700; run < 708; run += 1) {
    const { features, verdict } = await compared(run, 5000, 2000, 0.3);
    expect(verdict).toBe('alert');
    const found = features.filter((feature) => feature.verdict !== 'ok');
    expect(found.map(({ name }) => name)).toEqual(['f0']);
    expect(found[0].wasserstein).toBeCloseTo(0.3, 0.9);
  }
});

it('a shift of 0.15 sigma is to be watched, and one of 0.05, however certain, is not', async () => {
  expect((await compared(800, 20_000, 20_000, 0.15)).verdict).toBe('watch');
  const { features, verdict } = await compared(801, 40_000, 40_000, 0.05);
  expect(verdict).toBe('ok');
  expect(features[0].pValue).toBeLessThan(1e-6);
});

/**
 * NumPy 2.4.6 and SciPy 1.17.1 of the same 2,000 and 1,500 numbers: wasserstein_distance / np.std(reference), and
 * ks_2samp: 0.4631, 0.1900. Bins of a 32nd may miss the second by up to a bin's share.
 */
it('measures what SciPy measures', async () => {
  const before = Array.from({ length: 2000 }, (_, k) => ({ x: Math.sin(k * 1.7) * 3 + (k % 13) }));
  const now = Array.from({ length: 1500 }, (_, k) => ({ x: Math.sin(k * 1.3) * 3 + (k % 17) }));
  const [feature] = (await compareRows(before, now)).features;
  expect(feature.wasserstein).toBeCloseTo(0.4631, 2);
  expect(Math.abs((feature.ks ?? 0) - 0.19)).toBeLessThan(1 / 32);
});
