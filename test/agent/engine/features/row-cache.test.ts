import { expect, it } from 'vitest';
import { RowCache } from '../../../../agent/engine/features/row-cache.ts';

it('keeps rows up to their age', () => {
  const cache = new RowCache(10, 100);
  cache.set('1', [1], 0);
  expect(cache.get('1', 99)).toEqual([1]);
  expect(cache.get('1', 100)).toBeNull();
  expect(cache.size).toBe(0);
});

it('does not grow older by being used', () => {
  const cache = new RowCache(10, 100);
  cache.set('1', [1], 0);
  cache.get('1', 90);
  expect(cache.get('1', 101)).toBeNull();
});

it('drops what was used least lately, at its bound', () => {
  const cache = new RowCache(2, 100);
  cache.set('1', [1], 0);
  cache.set('2', [2], 0);
  cache.get('1', 1);
  cache.set('3', [3], 2);
  expect([cache.get('1', 3), cache.get('2', 3), cache.get('3', 3)]).toEqual([[1], null, [3]]);
  expect(cache.size).toBe(2);
});

it('keeps nothing when its age is 0', () => {
  const cache = new RowCache(2, 0);
  cache.set('1', [1], 0);
  expect(cache.get('1', 0)).toBeNull();
});
