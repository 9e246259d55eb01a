import { describe, expect, it } from 'vitest';
import { compareRows, type Row } from '../../../control-plane/offline/compare.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';

const ROWS = 1000;

function rowsOf(value: (uniform: () => number, row: number) => unknown, seed = 1): Row[] {
  const uniform = seededUniform(seed);
  return Array.from({ length: ROWS }, (_, row) => ({ x: value(uniform, row) }));
}

async function featureOf(reference: Row[], current: Row[]) {
  const report = await compareRows(reference, current);
  return { ...report.features[0], notes: report.notes };
}

const word = (n: number) => `w${Math.floor(n)}`;
const KINDS: readonly [
  string,
  (uniform: () => number, row: number) => unknown,
  string,
  verdict?: string,
][] = [
  ['measurements', (uniform) => uniform() * 10, 'numeric'],
  ['few whole numbers', (uniform) => Math.floor(uniform() * 3), 'numeric'],
  ['whole numbers in any order, each its own', (_, row) => (row * 7919) % 1009, 'numeric'],
  [
    'numbers with a text in fifty',
    (uniform, row) => (row % 50 === 9 ? 'n. a.' : uniform()),
    'numeric',
  ],
  ['one number', () => 7, 'numeric'],
  ['true and false', (uniform) => uniform() < 0.3, 'categorical'],
  ['a few texts', (uniform) => word(uniform() * 5), 'categorical'],
  [
    'numbers and texts, half and half',
    (uniform, row) => (row % 2 ? 1 : word(uniform() * 3)),
    'categorical',
  ],
  ['many texts, most of them more than once', (uniform) => word(uniform() ** 2 * 400), 'hashed'],
  [
    'prose',
    (uniform) => `order ${uniform()} came late and ${'very '.repeat(uniform() * 9)}broken`,
    'text',
  ],
  ['a text for each row', (uniform) => `id-${uniform()}`, 'id', 'insufficient'],
  ['a number for each row', (_, row) => 1000 + 3 * row, 'id', 'insufficient'],
  ['times', (_, row) => new Date(1e12 + row * 6e4).toISOString(), 'datetime', 'insufficient'],
  [
    'days',
    (_, row) => `2026-01-${String((row % 28) + 1).padStart(2, '0')}`,
    'datetime',
    'insufficient',
  ],
  ['nothing', () => null, 'numeric', 'insufficient'],
  ['no finite number', () => Infinity, 'numeric', 'insufficient'],
];

describe('what a column is', () => {
  it.each(KINDS)('%s', async (_, value, kind, verdict = 'ok') => {
    const feature = await featureOf(rowsOf(value, 1), rowsOf(value, 2));
    expect({ kind: feature.kind, verdict: feature.verdict }).toEqual({ kind, verdict });
    if (verdict === 'insufficient') {
      expect(feature.reason).toMatch(/./);
      expect(feature.psi).toBeNull();
    } else expect(feature.reason).toBeNull();
  });
});

describe('a change that a reader would want to know', () => {
  it.each<
    [
      string,
      (uniform: () => number, row: number) => unknown,
      (uniform: () => number, row: number) => unknown,
    ]
  >([
    ['a sensor that was dead comes alive', () => 7, (uniform) => uniform()],
    ['a sensor dies', (uniform) => uniform(), () => 0.5],
    ['a fifth is missing', (uniform) => uniform(), (uniform, row) => (row % 5 ? uniform() : null)],
    ['numbers become texts', (uniform) => uniform(), (uniform) => `${uniform()} m`],
    [
      'a category that was not there',
      (uniform) => word(uniform() * 4),
      (uniform) => word(uniform() * 6),
    ],
    [
      'one value takes over a tenth',
      (uniform) => word(uniform() ** 2 * 400),
      (uniform) => (uniform() < 0.2 ? 'bot' : word(uniform() ** 2 * 400)),
    ],
    [
      'prose becomes longer',
      (uniform) => `it came ${uniform()} late${' and broken'.repeat(uniform() * 5)}`,
      (uniform) => `it came ${uniform()} late${' and broken'.repeat(uniform() * 9)}`,
    ],
    ['NaN appears', (uniform) => uniform(), (uniform, row) => (row % 5 ? uniform() : NaN)],
  ])('%s', async (_, before, now) => {
    const { verdict, reason } = await featureOf(rowsOf(before, 1), rowsOf(now, 2));
    expect({ verdict, reason }).toEqual({ verdict: 'alert', reason: null });
  });
});

it('counts texts among numbers as missing, on both sides, and says where the first is', async () => {
  const before = rowsOf((uniform, row) => (row === 41 ? 'broken' : uniform()));
  const now = rowsOf((uniform, row) => (row % 100 === 7 ? 'x'.repeat(90) : uniform()), 2);
  const { notes, verdict, ...feature } = await featureOf(before, now);
  expect(verdict).toBe('ok');
  expect(feature).toMatchObject({ missing: { reference: 0.001, current: 0.01 } });
  expect(notes).toEqual([
    'the reference, column "x": 1 value is no number and counted as missing (first in row 42: "broken")',
    `the current rows, column "x": 10 values are no numbers and counted as missing (first in row 8: "${'x'.repeat(40)}")`,
  ]);
});

it('leaves out what is ignored and takes only what is asked for', async () => {
  const rows = Array.from({ length: 300 }, (_, row) => ({ a: row % 7, b: row % 5, c: row % 3 }));
  const names = async (options: object) =>
    (await compareRows(rows, rows, options)).features.map(({ name }) => name);
  expect(await names({ ignore: ['b'] })).toEqual(['a', 'c']);
  expect(await names({ columns: ['c', 'b'], ignore: ['c'] })).toEqual(['b']);
});
