import type { Datatype } from '../tensor.ts';
import type { Scalar, SwitchCase } from './document.ts';

/** Datatypes of which a mean is taken. The mean of integers would have to be rounded, and nobody said how. */
export const AVERAGED: ReadonlySet<Datatype> = new Set<Datatype>(['FP32', 'FP64']);

/** Datatypes that are voted on: what is equal exactly or not at all. */
export const LABELS: ReadonlySet<Datatype> = new Set<Datatype>([
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'BYTES',
]);

export type ScalarKind = 'number' | 'string' | 'boolean';

/** What an element of a datatype is compared as; null for the bit patterns of FP16 and BF16. */
export function kindOf(datatype: Datatype): ScalarKind | null {
  if (datatype === 'BYTES') return 'string';
  if (datatype === 'BOOL') return 'boolean';
  return datatype === 'FP16' || datatype === 'BF16' ? null : 'number';
}

export function scalarsOf(each: SwitchCase): readonly Scalar[] {
  return each.op === 'in' ? each.values : [each.value];
}

/**
 * Does a case hold for a value of its own kind? 64-bit integers are compared exactly; NaN is equal to nothing. FP32
 * is compared in its own precision (`single`): otherwise 0.1 would differ from the 0.1 that was sent.
 */
export function holds(each: SwitchCase, value: Scalar | bigint, single = false): boolean {
  const as = (scalar: Scalar) =>
    single && typeof scalar === 'number' ? Math.fround(scalar) : scalar;
  switch (each.op) {
    case '==':
      return same(value, as(each.value));
    case '!=':
      return !same(value, as(each.value));
    case 'in':
      return each.values.some((scalar) => same(value, as(scalar)));
    case '<':
      return value < as(each.value);
    case '<=':
      return value <= as(each.value);
    case '>':
      return value > as(each.value);
    case '>=':
      return value >= as(each.value);
  }
}

/** Mixed comparison of bigint and number is exact; `===` would never hold between them. */
function same(value: Scalar | bigint, other: Scalar): boolean {
  if (typeof value !== 'bigint') return value === other;
  return typeof other === 'number' && value <= other && value >= other;
}
