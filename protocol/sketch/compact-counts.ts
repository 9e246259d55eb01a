import type { BitReader } from './bit-reader.ts';
import type { BitWriter } from './bit-writer.ts';
import { nearCode, nearCount } from './counts-codec.ts';
import { SketchError } from './error.ts';
import { LATENCY_BUCKETS } from './latency.ts';

/** Twice this is still a number of a list. */
export const MAX_COMPACT_COUNT = 2 ** 29 - 1;

/** Codes of the longest list there is. */
const codes = new Int32Array(LATENCY_BUCKETS);

/**
 * Cell counts as a list (`BitWriter.list`): 0 as it is, any other by its distance from where the counts before it lead to, which
 * is never 0: half way from there to each of them, because the one before alone leads astray where counts go up and down.
 *
 * @param from the first of the cells that are written, `to` the one behind the last
 * @returns their sum
 * @throws SketchError `value` when one is no count, or above MAX_COMPACT_COUNT
 */
export function writeCompactCounts(
  bits: BitWriter,
  counts: Float64Array,
  name: string,
  from = 0,
  to = counts.length,
): number {
  let total = 0;
  let near = 1;
  for (let k = from; k < to; k += 1) {
    const count = counts[k];
    if (count === 0) {
      codes[k - from] = 0;
      continue;
    }
    const whole = count | 0;
    if (whole !== count || whole < 0 || whole > MAX_COMPACT_COUNT) {
      throw new SketchError('value', `${name}[${k}] ${count}: a whole number below 2^29`);
    }
    codes[k - from] = nearCode(whole, near);
    near = (near + whole + 1) >> 1;
    total += whole;
  }
  bits.room(to - from + 1);
  bits.list(codes, to - from);
  return total;
}

/**
 * @param into zeros, of which those of the cells that were written are set; the caller has bounded it
 * @returns the sum of the counts
 * @throws SketchError `truncated` or `format`
 */
export function readCompactCounts(
  bits: BitReader,
  into: Float64Array,
  name: string,
  from = 0,
  to = into.length,
): number {
  bits.list(codes, to - from);
  let total = 0;
  let near = 1;
  for (let k = from; k < to; k += 1) {
    const code = codes[k - from];
    if (code === 0) continue;
    const count = nearCount(code, near);
    if (count > MAX_COMPACT_COUNT) {
      throw new SketchError('format', `${name}[${k}] ${count}: at most 2^29 - 1`);
    }
    near = (near + count + 1) >> 1;
    into[k] = count;
    total += count;
  }
  return total;
}
