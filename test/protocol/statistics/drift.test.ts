import { expect, it } from 'vitest';
import {
  addCategory,
  categoryIndex,
  emptyCategorical,
} from '../../../protocol/sketch/frequency.ts';
import { gridFromReference } from '../../../protocol/sketch/grid.ts';
import { addNumeric, emptyNumeric } from '../../../protocol/sketch/histogram.ts';
import { compareFeature } from '../../../protocol/statistics/drift.ts';
import { seededUniform } from './seeded.ts';

const VALUES = Float64Array.from({ length: 5000 }, seededUniform(5));
const NUMERIC = { kind: 'numeric', ...gridFromReference(VALUES, 16) } as const;
const CATEGORIES = { kind: 'categorical', values: ['a', 'b', 'c'] } as const;
const INDEX = categoryIndex(CATEGORIES);

function numericOf(values: Iterable<number | null>) {
  const sketch = emptyNumeric(NUMERIC);
  for (const value of values) addNumeric(sketch, NUMERIC, value);
  return sketch;
}

function categoriesOf(values: Iterable<string | null>) {
  const sketch = emptyCategorical(CATEGORIES);
  for (const value of values) addCategory(sketch, INDEX, value);
  return sketch;
}

const REFERENCE = numericOf(VALUES);

it('sees nothing in more of the same, and a shift in shifted values', () => {
  const same = compareFeature(REFERENCE, numericOf(VALUES.slice(0, 1000)), NUMERIC);
  expect(same.rows).toEqual({ reference: 5000, current: 1000 });
  expect(same.psiDebiased).toBeLessThan(0.02);
  expect(same.logP).toBeGreaterThan(Math.log(0.01));
  const shifted = VALUES.slice(0, 1000).map((x) => x + 0.2);
  const moved = compareFeature(REFERENCE, numericOf(shifted), NUMERIC);
  expect(moved.psiDebiased).toBeGreaterThan(0.25);
  expect(moved.wasserstein).toBeCloseTo(0.2 * Math.sqrt(12), 1);
  expect(moved.ks).toBeGreaterThan(0.15);
  expect(moved.logP).toBeLessThan(-100);
});

it('counts missing and non-finite values as cells of their own', () => {
  const half = Array.from(VALUES.slice(0, 1000), (x, k) => (k % 2 === 0 ? x : null));
  const missing = compareFeature(REFERENCE, numericOf(half), NUMERIC);
  expect(missing.missingRate).toEqual({ reference: 0, current: 0.5 });
  expect(missing.lInfinity).toBeCloseTo(0.5, 10);
  expect(missing.logP).toBeLessThan(-100);
  expect(missing.ks).toBeLessThan(0.05);
  const broken = half.map((x) => x ?? NaN);
  const nonFinite = compareFeature(REFERENCE, numericOf(broken), NUMERIC);
  expect(nonFinite.unseenRate).toEqual({ reference: 0, current: 0.5 });
  expect(nonFinite.psi).toBeCloseTo(missing.psi, 12);
});

it('compares categories with unseen ones, without order or distance', () => {
  const before = categoriesOf(['a', 'a', 'b', 'c'].flatMap((x) => new Array<string>(100).fill(x)));
  const now = categoriesOf([
    ...new Array<string>(150).fill('a'),
    ...new Array<string>(50).fill('z'),
  ]);
  const measure = compareFeature(before, now, CATEGORIES);
  expect(measure).toMatchObject({ ks: null, wasserstein: null });
  expect(measure.unseenRate).toEqual({ reference: 0, current: 0.25 });
  expect(measure.lInfinity).toBeCloseTo(0.25, 12);
  expect(measure.jensenShannon).toBeGreaterThan(0.4);
});

it('says 0 rows rather than inventing a distance', () => {
  const nothing = compareFeature(REFERENCE, numericOf([]), NUMERIC);
  expect(nothing.rows.current).toBe(0);
  expect(nothing).toMatchObject({ psi: 0, psiDebiased: 0, ks: 0, wasserstein: 0, logP: 0 });
  expect(nothing.missingRate).toEqual({ reference: 0, current: 0 });
});

it('refuses sketches that were not counted on the grid', () => {
  const text = categoriesOf(['a']);
  expect(() => compareFeature(REFERENCE, text, NUMERIC)).toThrow('current: categorical with 3');
  expect(() => compareFeature(REFERENCE, REFERENCE, CATEGORIES)).toThrow('reference: numeric');
});
