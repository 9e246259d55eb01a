import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { SketchError } from './error.ts';

/** `near`: a count is written by how far it is from the one before, zeros left out; `plain`: as it is (format 1, latency). */
export type CountsCode = 'plain' | 'near';

const MOST = Number.MAX_SAFE_INTEGER;
/** Twice this is still a 31-bit number. */
const SMALL = 2 ** 29 - 1;

/**
 * Cell counts on the wire: a count above 0 is the varint of its code, which is never 0; a run of r zeros is 0, then
 * varint r − 1. A run is written whole, so that equal counts have equal bytes. A `plain` code is the count.
 *
 * Bins of a reference hold about as many rows as their neighbours, and then a difference takes one byte where a count
 * above 127 takes two.
 *
 * @returns their sum
 * @throws SketchError `value` when one is no count
 */
export function writeCounts(
  writer: ByteWriter,
  counts: Float64Array,
  name: string,
  code: CountsCode = 'plain',
): number {
  let total = 0;
  let before = 1;
  for (let k = 0; k < counts.length; ) {
    const count = counts[k];
    if (count !== 0) {
      writer.count(
        Number.isSafeInteger(count) && count > 0 ? codeOf(count, before) : count,
        name,
        k,
      );
      if (code === 'near') before = count;
      total += count;
      k += 1;
      continue;
    }
    const start = k;
    // Four at a time: most of the 2,049 buckets of a latency are such zeros.
    const fourBefore = counts.length - 4;
    while (k <= fourBefore && isZero4(counts, k)) k += 4;
    while (k < counts.length && counts[k] === 0) k += 1;
    writer.byte(0);
    writer.count(k - start - 1, name);
  }
  return total;
}

function isZero4(counts: Float64Array, k: number): boolean {
  return counts[k] === 0 && counts[k + 1] === 0 && counts[k + 2] === 0 && counts[k + 3] === 0;
}

/**
 * @param into zeros, one for each count that follows; the caller has bounded it
 * @returns the sum of the counts
 * @throws SketchError `truncated`, or `format` for a run past the last cell, a split run, or a
 *   sum above 2^53 − 1
 */
export function readCounts(
  reader: ByteReader,
  into: Float64Array,
  name: string,
  code: CountsCode = 'plain',
): number {
  const cells = into.length;
  let total = 0;
  let before = 1;
  let afterZeros = false;
  for (let k = 0; k < cells; ) {
    const read = reader.count(name, k);
    if (read > 0) {
      const count = countOf(read, before);
      if (code === 'near') before = count;
      into[k] = count;
      total += count;
      k += 1;
      afterZeros = false;
      continue;
    }
    const run = reader.count(name, k) + 1;
    if (afterZeros || run > cells - k) {
      throw new SketchError(
        'format',
        `${name}: ${run} zeros at cell ${k} of ${cells}${afterZeros ? ' after zeros' : ''}`,
      );
    }
    k += run;
    afterZeros = true;
  }
  if (!Number.isSafeInteger(total)) {
    throw new SketchError('format', `${name}: sum ${total} above 2^53 - 1`);
  }
  return total;
}

/**
 * Codes 1 to 2^53 − 1 for counts 1 to 2^53 − 1, one for each: by turns above and below `before` as far as there are counts
 * on both sides, then those left on one side. Behind 1 there are none below: a count is its own code.
 */
function codeOf(count: number, before: number): number {
  if (count <= SMALL && before <= SMALL) {
    // The same in whole numbers of 31 bits, which nearly all counts are.
    const from = before | 0;
    const to = count | 0;
    if (to >= 2 * from) return to;
    return to > from ? (to - from) << 1 : ((from - to) << 1) | 1;
  }
  const above = count - before;
  const both = Math.min(before - 1, MOST - before);
  if (above > both) return count;
  if (-above > both) return MOST + 1 - count;
  return above > 0 ? 2 * above : 1 - 2 * above;
}

function countOf(code: number, before: number): number {
  if (code <= SMALL && before <= SMALL) {
    const from = before | 0;
    const to = code | 0;
    if (to >= 2 * from) return to;
    return (to & 1) === 0 ? from + (to >>> 1) : from - (to >>> 1);
  }
  const both = Math.min(before - 1, MOST - before);
  if (code <= 2 * both + 1) return before + (code % 2 === 0 ? code / 2 : (1 - code) / 2);
  return before - 1 === both ? code : MOST + 1 - code;
}
