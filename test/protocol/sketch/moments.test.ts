import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  addToMoments,
  emptyMoments,
  MAX_MAGNITUDE,
  mergeMoments,
  variance,
} from '../../../protocol/sketch/moments.ts';

function momentsOf(values: readonly number[]) {
  const moments = emptyMoments();
  for (const value of values) addToMoments(moments, value);
  return moments;
}

it('gives mean, variance and range', () => {
  const moments = momentsOf([2, 4, 4, 4, 5, 5, 7, 9]);
  expect(moments).toMatchObject({ count: 8, mean: 5, min: 2, max: 9 });
  expect(variance(moments)).toBeCloseTo(4, 12);
  expect(variance(emptyMoments())).toBe(0);
});

it('keeps the variance of values with a large offset, alone and merged', () => {
  const offset = 1.7e12;
  const left = momentsOf([offset + 1, offset + 2]);
  mergeMoments(left, momentsOf([offset + 3, offset + 4]));
  expect(variance(left)).toBeCloseTo(1.25, 3);
});

it('leaves min and max at ±Infinity while empty', () => {
  const empty = emptyMoments();
  mergeMoments(empty, emptyMoments());
  expect(empty).toEqual({ count: 0, mean: 0, m2: 0, min: Infinity, max: -Infinity });
});

it('stays finite at the largest magnitude', () => {
  const ends = fc.array(fc.constantFrom(MAX_MAGNITUDE, -MAX_MAGNITUDE), { minLength: 1 });
  fc.assert(
    fc.property(ends, ends, (a, b) => {
      const moments = momentsOf(a);
      moments.count *= 2 ** 40;
      mergeMoments(moments, momentsOf(b));
      expect(Number.isFinite(moments.mean) && Number.isFinite(moments.m2)).toBe(true);
    }),
  );
});
