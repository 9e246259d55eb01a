/**
 * A quantile sketch as bytes. Little-endian; `count` is a LEB128 varint as in codec.ts.
 *
 *     'D' 'L' 'Q'    magic
 *     version        byte, FORMAT_VERSION
 *     k              count
 *     values         count
 *     nonFinite      count
 *     state          uint32 of the generator, not 0
 *     if any values: min max (f64)
 *     base           byte
 *     block          count, below 2^base; then as many f64
 *     levels         byte, 1 to MAX_LEVELS; then each, from level 0: count, as many f64 in ascending order
 *     crc32          uint32 of all bytes before it
 *
 * What is decoded answers every question as what was encoded; a value added to both gives the same answers again,
 * because the order within a level never matters: it is sorted before anything is dropped, all but the item that
 * stays behind of an odd number, which is the smallest in both.
 */
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { crc32 } from './crc32.ts';
import { SketchError } from './error.ts';
import { MAX_MAGNITUDE } from './moments.ts';
import {
  emptyQuantiles,
  grow,
  levelCapacity,
  MAX_BASE,
  MAX_K,
  MAX_LEVELS,
  MIN_K,
  type QuantileSketch,
} from './quantile.ts';

const MAGIC = [0x44, 0x4c, 0x51];
const FORMAT_VERSION = 1;
const HEAD_BYTES = MAGIC.length + 1;
const CRC_BYTES = 4;

/** The largest sketch of MAX_K: MAX_LEVELS levels and a block. */
export const MAX_QUANTILE_BYTES = 512 * 1024;

export function encodeQuantiles(sketch: QuantileSketch): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const byte of MAGIC) writer.byte(byte);
  writer.byte(FORMAT_VERSION);
  writer.count(sketch.k, 'k');
  writer.count(sketch.count, 'values');
  writer.count(sketch.nonFinite, 'nonFinite');
  writer.uint32(sketch.state);
  if (sketch.count > 0) {
    writer.float64(sketch.min);
    writer.float64(sketch.max);
  }
  writer.byte(sketch.base);
  writeItems(writer, sketch.block.subarray(0, sketch.blockSize), 'block');
  writer.byte(sketch.levels.length);
  for (const [level, items] of sketch.levels.entries()) {
    writeItems(writer, items.slice(0, sketch.sizes[level]).sort(), `level ${level}`);
  }
  writer.uint32(crc32(writer.written()));
  return writer.written().slice();
}

/** @throws SketchError, and nothing else, on any bytes: `limit`, `truncated`, `format`, `version` or `checksum` */
export function decodeQuantiles(bytes: Uint8Array): QuantileSketch {
  const reader = new ByteReader(checked(bytes));
  const k = reader.count('k');
  if (k < MIN_K || k > MAX_K) {
    throw new SketchError('format', `k ${k}: a whole number from ${MIN_K} to ${MAX_K}`);
  }
  const sketch = emptyQuantiles(k);
  sketch.count = reader.count('values');
  sketch.nonFinite = reader.count('nonFinite');
  sketch.state = readState(reader);
  if (sketch.count > 0) {
    sketch.min = reader.float64('min');
    sketch.max = reader.float64('max');
    requireRange(sketch);
  }
  sketch.base = reader.byte('base');
  if (sketch.base > MAX_BASE) {
    throw new SketchError('format', `base ${sketch.base}: at most ${MAX_BASE}`);
  }
  const block = readItems(reader, sketch, 2 ** sketch.base - 1, 'block', false);
  sketch.block.set(block);
  sketch.blockSize = block.length;
  const levels = readLevels(reader, sketch);
  requireWeights(sketch, levels);
  if (reader.remaining > 0) {
    throw new SketchError('format', `${reader.remaining} bytes after the levels`);
  }
  return sketch;
}

/** Magic, version and checksum come first: nothing is parsed out of damaged bytes. */
function checked(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_QUANTILE_BYTES) {
    throw new SketchError('limit', `${bytes.length} bytes: at most ${MAX_QUANTILE_BYTES}`);
  }
  if (bytes.length < HEAD_BYTES + CRC_BYTES) {
    throw new SketchError('truncated', `${bytes.length} bytes: at least ${HEAD_BYTES + CRC_BYTES}`);
  }
  if (MAGIC.some((byte, k) => bytes[k] !== byte)) {
    throw new SketchError('format', 'does not begin with "DLQ": not an encoded quantile sketch');
  }
  const version = bytes[MAGIC.length];
  if (version !== FORMAT_VERSION) {
    throw new SketchError('version', `format ${version}: this build reads ${FORMAT_VERSION}`);
  }
  const body = bytes.subarray(0, -CRC_BYTES);
  const expected = new DataView(bytes.buffer, bytes.byteOffset + body.length, CRC_BYTES).getUint32(
    0,
    true,
  );
  const actual = crc32(body);
  if (actual !== expected) {
    throw new SketchError('checksum', `CRC-32 ${actual}, but the bytes carry ${expected}`);
  }
  return body.subarray(HEAD_BYTES);
}

function readState(reader: ByteReader): number {
  let state = 0;
  for (let shift = 0; shift < 32; shift += 8) state |= reader.byte('state') << shift;
  if (state === 0) throw new SketchError('format', 'state 0: the generator never has that');
  return state >>> 0;
}

function requireRange({ min, max }: QuantileSketch): void {
  if (min <= max && min >= -MAX_MAGNITUDE && max <= MAX_MAGNITUDE) return;
  throw new SketchError('format', `no values lie between ${min} and ${max}`);
}

function readLevels(reader: ByteReader, sketch: QuantileSketch): number {
  const levels = reader.byte('levels');
  if (levels < 1 || levels > MAX_LEVELS) {
    throw new SketchError('format', `levels ${levels}: from 1 to ${MAX_LEVELS}`);
  }
  for (let level = 0; level < levels; level += 1) {
    // A level that was filled when there were fewer above it may hold more than its capacity now, never more than k.
    const most = Math.max(sketch.k, levelCapacity(sketch.k, level, levels));
    const items = readItems(reader, sketch, most, `level ${level}`, true);
    if (level > 0) grow(sketch);
    sketch.levels[level].set(items);
    sketch.sizes[level] = items.length;
  }
  return levels;
}

function requireWeights(sketch: QuantileSketch, levels: number): void {
  let weight = sketch.blockSize;
  for (let level = 0; level < levels; level += 1) weight += sketch.sizes[level] * 2 ** level;
  if (weight === sketch.count) return;
  throw new SketchError('format', `items stand for ${weight} values, there are ${sketch.count}`);
}

function writeItems(writer: ByteWriter, items: Float64Array, name: string): void {
  writer.count(items.length, name);
  for (const item of items) writer.float64(item);
}

function readItems(
  reader: ByteReader,
  { min, max }: QuantileSketch,
  most: number,
  name: string,
  ascending: boolean,
): Float64Array {
  const size = reader.count(name);
  if (size > most) throw new SketchError('format', `${name}: ${size} items, at most ${most}`);
  const items = new Float64Array(size);
  for (let at = 0; at < size; at += 1) {
    const item = reader.float64(name);
    if (!(item >= min && item <= max) || (ascending && at > 0 && item < items[at - 1])) {
      throw new SketchError('format', `${name}: ${item} at ${at} is out of range or order`);
    }
    items[at] = item;
  }
  return items;
}
