import { SketchError } from './error.ts';

/** The categories a feature had in its reference, most frequent first: all numbers or all text. */
export interface CategoryGrid {
  readonly values: readonly number[] | readonly string[];
}

/** Categories counted one by one; the rest of the reference is `unseen`, on both sides alike. */
export const MAX_CATEGORIES = 64;

/**
 * A categorical feature over one window. Every value lands in exactly one of `missing`,
 * `unseen` and `counts`. Only counts leave the host: the values stay in the reference.
 */
export interface CategoricalSketch {
  readonly kind: 'categorical';
  /** Null or absent values. */
  missing: number;
  /** Values outside the dictionary, NaN included. */
  unseen: number;
  /** One per value of the grid, in its order. */
  readonly counts: Float64Array;
}

/** Cell of each category, built once per feature by `categoryIndex`. */
export type CategoryIndex = ReadonlyMap<number | string, number>;

/**
 * The most frequent categories of a reference, at most MAX_CATEGORIES. Equally frequent ones
 * stand in ascending order, so that the same rows in another order give the same dictionary.
 * NaN, ±Inf and null are left out: they are never categories.
 */
export function dictionaryFromReference(values: ArrayLike<number | null>): readonly number[];
export function dictionaryFromReference(values: ArrayLike<string | null>): readonly string[];
export function dictionaryFromReference(
  values: ArrayLike<number | string | null>,
): readonly (number | string)[] {
  const counts = new Map<number | string, number>();
  for (let row = 0; row < values.length; row += 1) {
    const value = values[row];
    if (value === null || (typeof value === 'number' && !Number.isFinite(value))) continue;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .slice(0, MAX_CATEGORIES)
    .map(([value]) => value);
}

/** @throws SketchError `limit` above MAX_CATEGORIES, `value` when a category stands there twice */
export function categoryIndex(grid: CategoryGrid): CategoryIndex {
  requireCategories(grid);
  const index = new Map<number | string, number>();
  for (const value of grid.values) index.set(value, index.size);
  if (index.size !== grid.values.length) {
    throw new SketchError('value', `${grid.values.length} categories, ${index.size} different`);
  }
  return index;
}

/** @throws SketchError `limit` above MAX_CATEGORIES */
export function emptyCategorical(grid: CategoryGrid): CategoricalSketch {
  requireCategories(grid);
  return {
    kind: 'categorical',
    missing: 0,
    unseen: 0,
    counts: new Float64Array(grid.values.length),
  };
}

/** Counts one value. No allocation, one lookup; a number never equals its text. */
export function addCategory(
  sketch: CategoricalSketch,
  index: CategoryIndex,
  value: number | string | null | undefined,
): void {
  if (value === null || value === undefined) {
    sketch.missing += 1;
    return;
  }
  const cell = index.get(value);
  if (cell === undefined) sketch.unseen += 1;
  else sketch.counts[cell] += 1;
}

/** @throws SketchError `shape` when the dictionaries differ in size; `into` is then unchanged */
export function mergeCategorical(into: CategoricalSketch, from: CategoricalSketch): void {
  if (into.counts.length !== from.counts.length) {
    throw new SketchError(
      'shape',
      `cannot merge ${from.counts.length} categories into ${into.counts.length}: ` +
        'different references',
    );
  }
  into.missing += from.missing;
  into.unseen += from.unseen;
  for (let k = 0; k < into.counts.length; k += 1) into.counts[k] += from.counts[k];
}

function requireCategories(grid: CategoryGrid): void {
  if (grid.values.length > MAX_CATEGORIES) {
    throw new SketchError('limit', `${grid.values.length} categories: at most ${MAX_CATEGORIES}`);
  }
}
