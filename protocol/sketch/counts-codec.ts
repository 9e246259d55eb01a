import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { SketchError } from './error.ts';

/** `near`: a count is written by how far it is from the one before, zeros left out; `plain`: as it is (format 1, latency). */
export type CountsCode = 'plain' | 'near';

const MOST = Number.MAX_SAFE_INTEGER;
/** 2^53 − 1 takes eight bytes of seven bits; a run of zeros takes one more. */
const MAX_COUNT_BYTES = 9;
/** Twice this is still a 31-bit number. */
const SMALL = 2 ** 29 - 1;

/**
 * Cell counts on the wire: a count above 0 is the varint of its code, which is never 0; a run of r zeros is 0, then
 * varint r − 1. A run is written whole, so that equal counts have equal bytes. A `plain` code is the count.
 *
 * Bins of a reference hold about as many rows as their neighbours, and then a difference takes one byte where a count
 * above 127 takes two.
 *
 * @param used cells from here on are taken for zeros and not looked at
 * @returns their sum
 * @throws SketchError `value` when one is no count
 */
export function writeCounts(
  writer: ByteWriter,
  counts: Float64Array,
  name: string,
  code: CountsCode = 'plain',
  used = counts.length,
): number {
  const near = code === 'near';
  const bytes = writer.room(MAX_COUNT_BYTES * counts.length);
  let at = writer.length;
  let total = 0;
  let before = 1;
  for (let k = 0; k < counts.length; ) {
    const count = k < used ? counts[k] : 0;
    const whole = count | 0;
    if (count === 0) {
      const start = k;
      k = zerosEnd(counts, k, used);
      if (k === used) k = counts.length;
      bytes[at] = 0;
      writer.advance(at + 1);
      writer.count(k - start - 1, name);
      at = writer.length;
      continue;
    }
    if (whole === count && whole > 0 && whole <= SMALL && before <= SMALL) {
      const written = near ? nearCode(whole, before) : whole;
      if (written < 0x80) {
        bytes[at] = written;
        at += 1;
      } else if (written < 0x4000) {
        bytes[at] = written | 0x80;
        bytes[at + 1] = written >>> 7;
        at += 2;
      } else at = writeLong(writer, at, written, name, k);
    } else {
      const valid = Number.isSafeInteger(count) && count > 0;
      at = writeLong(writer, at, valid && near ? codeOf(count, before) : count, name, k);
    }
    if (near) before = count;
    total += count;
    k += 1;
  }
  writer.advance(at);
  return total;
}

/** Into the room that was made for all. @throws SketchError `value` */
function writeLong(
  writer: ByteWriter,
  at: number,
  count: number,
  name: string,
  index: number,
): number {
  writer.advance(at);
  writer.count(count, name, index);
  return writer.length;
}

/** The first cell from `start` on that isn't 0, or `end`. Four at a time: most of the 2,049 buckets of a latency are zeros. */
export function zerosEnd(counts: Float64Array, start: number, end: number): number {
  let k = start;
  while (k <= end - 4 && isZero4(counts, k)) k += 4;
  while (k < end && counts[k] === 0) k += 1;
  return Math.min(k, end);
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
  if (count <= SMALL && before <= SMALL) return nearCode(count, before);
  const above = count - before;
  const both = Math.min(before - 1, MOST - before);
  if (above > both) return count;
  if (-above > both) return MOST + 1 - count;
  return above > 0 ? 2 * above : 1 - 2 * above;
}

/** The same in whole numbers of 31 bits, which nearly all counts are: both below 2^29. */
export function nearCode(count: number, before: number): number {
  const from = before | 0;
  const to = count | 0;
  if (to >= 2 * from) return to;
  // Above or below is a coin toss: reckoned, not branched on.
  const far = to - from;
  const below = (far - 1) >> 31;
  return ((far ^ below) << 1) - 3 * below;
}

function countOf(code: number, before: number): number {
  if (code <= SMALL && before <= SMALL) {
    return nearCount(code, before);
  }
  const both = Math.min(before - 1, MOST - before);
  if (code <= 2 * both + 1) return before + (code % 2 === 0 ? code / 2 : (1 - code) / 2);
  return before - 1 === both ? code : MOST + 1 - code;
}

/** The count of which `nearCode` gave this code. */
export function nearCount(code: number, before: number): number {
  const from = before | 0;
  const to = code | 0;
  if (to >= 2 * from) return to;
  const sign = -(to & 1);
  return from + ((to >>> 1) ^ sign) - sign;
}
