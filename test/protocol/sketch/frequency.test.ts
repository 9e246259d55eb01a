import { expect, it } from 'vitest';
import {
  addCategory,
  categoryIndex,
  dictionaryFromReference,
  emptyCategorical,
  MAX_CATEGORIES,
  mergeCategorical,
} from '../../../protocol/sketch/frequency.ts';

it('lists the most frequent categories first, equals in ascending order', () => {
  expect(dictionaryFromReference(['b', 'c', 'a', 'c', null, 'b'])).toEqual(['b', 'c', 'a']);
  expect(dictionaryFromReference(Float64Array.of(3, NaN, 1, 3, Infinity))).toEqual([3, 1]);
  expect(dictionaryFromReference([] as string[])).toEqual([]);
});

it('keeps at most MAX_CATEGORIES', () => {
  const codes = Array.from({ length: MAX_CATEGORIES + 1 }, (_, k) => k);
  const values = dictionaryFromReference([...codes, 40]);
  expect(values).toHaveLength(MAX_CATEGORIES);
  expect(values[0]).toBe(40);
  expect(emptyCategorical({ values }).counts).toHaveLength(MAX_CATEGORIES);
  expect(() => emptyCategorical({ values: codes })).toThrow('65 categories: at most 64');
  expect(() => categoryIndex({ values: codes })).toThrow('65 categories: at most 64');
});

it('counts known, unseen and missing values apart', () => {
  const grid = { values: [1, 0] };
  const index = categoryIndex(grid);
  const sketch = emptyCategorical(grid);
  for (const value of [0, -0, 1, 2, NaN, '1', null, undefined]) addCategory(sketch, index, value);
  expect([...sketch.counts]).toEqual([1, 2]);
  expect(sketch).toMatchObject({ unseen: 3, missing: 2 });
});

it('refuses a repeated category and another dictionary', () => {
  expect(() => categoryIndex({ values: ['a', 'a'] })).toThrow('2 categories, 1 different');
  const two = emptyCategorical({ values: ['a', 'b'] });
  expect(() => mergeCategorical(two, emptyCategorical({ values: ['a'] }))).toThrow(
    'cannot merge 1 categories into 2',
  );
});
