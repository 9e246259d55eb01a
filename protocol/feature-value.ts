import { type Datatype, INTEGER_BOUNDS } from './tensor.ts';

/** A value as a feature server gives it; integers beyond 2^53 as bigint. */
export type FeatureValue = number | bigint | string | boolean;

/** An element of a tensor: bigint for 64-bit integers, string for BYTES, number for all others. */
export type Element = number | bigint | string;

/** How protobuf's JSON writes the floats that JSON has not. */
const NAMED_FLOATS: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** The runtime's Node binding cuts a string at NUL and makes a lone surrogate U+FFFD, without a word. */
const NOT_TEXT = /[\0\p{Surrogate}]/u;

/**
 * A feature as an element of a tensor of this datatype, or null where it does not fit: a fraction into an integer, a
 * number out of range, text into a number and a number into text do not. FP16 and BF16 take nothing.
 */
export function elementOf(datatype: Datatype, value: FeatureValue): Element | null {
  switch (datatype) {
    case 'FP32': {
      const number = floatOf(value);
      if (number === null) return null;
      const single = Math.fround(number);
      // An overflow: what was finite no longer is.
      return Number.isFinite(number) && !Number.isFinite(single) ? null : single;
    }
    case 'FP64':
      return floatOf(value);
    case 'BYTES':
      return typeof value === 'string' && !NOT_TEXT.test(value) ? value : null;
    case 'INT64':
    case 'UINT64':
      return longOf(datatype, value);
    case 'FP16':
    case 'BF16':
      return null;
    case 'BOOL':
      return integerOf(value, 0, 1);
    default: {
      const [low, high] = INTEGER_BOUNDS[datatype] ?? [0, -1];
      return integerOf(value, low, high);
    }
  }
}

function floatOf(value: FeatureValue): number | null {
  if (typeof value === 'string') return NAMED_FLOATS.get(value) ?? null;
  return Number(value);
}

function integerOf(value: FeatureValue, low: number, high: number): number | null {
  if (typeof value === 'string') return null;
  const number = Number(value);
  return Number.isInteger(number) && number >= low && number <= high ? number : null;
}

function longOf(datatype: 'INT64' | 'UINT64', value: FeatureValue): bigint | null {
  if (typeof value === 'string') return null;
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return null;
  const exact = BigInt(value);
  const fits = datatype === 'INT64' ? BigInt.asIntN(64, exact) : BigInt.asUintN(64, exact);
  return fits === exact ? exact : null;
}
