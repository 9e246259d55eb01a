/**
 * What follows the counts of a hashed feature, if it has any (its cells are always HASH_BUCKETS):
 *
 *     registers   := runs of equal ranks to the end: rank (byte), rows of it − 1 (count)
 *     heavy       := count, then each: hash less the one before, less 1 (count; the first as it is), rows (count)
 */
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { MAX_RANK, REGISTERS } from './cardinality.ts';
import { SketchError } from './error.ts';
import { type HashedSketch, hashedRows } from './hashed.ts';
import {
  emptyHeavyHitters,
  HEAVY_COUNTERS,
  type HeavyHitter,
  type HeavyHitters,
  listed,
  lower,
} from './heavy-hitters.ts';

const MAX_HASH = 0xffffffff;

/** @throws SketchError `value` when heavy hitters have more rows than there are */
export function writeHashed(writer: ByteWriter, sketch: HashedSketch, name: string): void {
  if (hashedRows(sketch) === 0) return;
  writeRegisters(writer, sketch.registers, name);
  const counters = listed(sketch.heavy).sort((a, b) => a.hash - b.hash);
  requireRows('value', counters, hashedRows(sketch), name);
  writer.count(counters.length, `${name}.heavy`);
  let next = 0;
  for (const { hash, count } of counters) {
    writer.count(hash - next, `${name}.heavy`);
    writer.count(count, `${name}.heavy`);
    next = hash + 1;
  }
}

/** @throws SketchError `truncated` or `format` */
export function readRegisters(reader: ByteReader, name: string): Uint8Array {
  const registers = new Uint8Array(REGISTERS);
  let before = -1;
  for (let at = 0; at < REGISTERS; ) {
    const rank = reader.byte(`${name}.registers`);
    const run = reader.count(`${name}.registers`) + 1;
    if (rank > MAX_RANK || rank === before || run > REGISTERS - at) {
      throw new SketchError('format', `${name}: ${run} registers of rank ${rank} at ${at}`);
    }
    registers.fill(rank, at, at + run);
    before = rank;
    at += run;
  }
  if (registers.every((rank) => rank === 0)) {
    throw new SketchError('format', `${name}: rows, but no value among them`);
  }
  return registers;
}

/** @throws SketchError `truncated` or `format` */
export function readHeavy(reader: ByteReader, rows: number, name: string): HeavyHitters {
  const size = reader.count(`${name}.heavy`);
  if (size > HEAVY_COUNTERS) {
    throw new SketchError('format', `${name}: ${size} heavy hitters, at most ${HEAVY_COUNTERS}`);
  }
  const counters: HeavyHitter[] = [];
  let next = 0;
  for (let k = 0; k < size; k += 1) {
    const hash = next + reader.count(`${name}.heavy`);
    const count = reader.count(`${name}.heavy`);
    if (hash > MAX_HASH || count === 0) {
      throw new SketchError('format', `${name}: heavy hitter ${hash} with ${count} rows`);
    }
    counters.push({ hash, count });
    next = hash + 1;
  }
  requireRows('format', counters, rows, name);
  const heavy = emptyHeavyHitters();
  lower(heavy, counters, 0);
  return heavy;
}

function writeRegisters(writer: ByteWriter, registers: Uint8Array, name: string): void {
  for (let at = 0; at < registers.length; ) {
    const start = at;
    while (at < registers.length && registers[at] === registers[start]) at += 1;
    writer.byte(registers[start]);
    writer.count(at - start - 1, name);
  }
}

function requireRows(
  kind: 'value' | 'format',
  counters: readonly HeavyHitter[],
  rows: number,
  name: string,
): void {
  const counted = counters.reduce((sum, { count }) => sum + count, 0);
  if (counted <= rows) return;
  throw new SketchError(kind, `${name}: ${counted} rows of heavy hitters, ${rows} in all`);
}
