import { addDistinct, mergeDistinct, REGISTERS } from './cardinality.ts';
import { addHeavy, emptyHeavyHitters, type HeavyHitters, mergeHeavy } from './heavy-hitters.ts';
import { hashValue } from './value-hash.ts';

/**
 * A categorical feature with more values than a dictionary holds, over one window. Each row falls into one of
 * HASH_BUCKETS by its hash: those counts are exact, merge by addition and are what drift is measured on. A value that
 * takes a large share of the rows moves its bucket; `heavy` says which one it is, `registers` how many different ones
 * there were. Values themselves never leave the host.
 */
export interface HashedSketch {
  readonly kind: 'hashed';
  /** Null or absent values. */
  missing: number;
  /** There is no dictionary that a value could be outside of. */
  readonly unseen: 0;
  /** Rows by the lowest bits of their hash; HASH_BUCKETS counts. */
  readonly counts: Float64Array;
  /** See cardinality.ts. */
  readonly registers: Uint8Array;
  readonly heavy: HeavyHitters;
}

export const HASH_BUCKETS = 32;

export function emptyHashed(): HashedSketch {
  return {
    kind: 'hashed',
    missing: 0,
    unseen: 0,
    counts: new Float64Array(HASH_BUCKETS),
    registers: new Uint8Array(REGISTERS),
    heavy: emptyHeavyHitters(),
  };
}

/** Counts one value. */
export function addHashed(
  sketch: HashedSketch,
  value: string | number | bigint | null | undefined,
): void {
  if (value === null || value === undefined) {
    sketch.missing += 1;
    return;
  }
  const hash = hashValue(value);
  sketch.counts[hash % HASH_BUCKETS] += 1;
  addDistinct(sketch.registers, hash);
  addHeavy(sketch.heavy, hash);
}

/** Buckets and registers exactly, heavy hitters within their bound. */
export function mergeHashed(into: HashedSketch, from: HashedSketch): void {
  into.missing += from.missing;
  for (let k = 0; k < HASH_BUCKETS; k += 1) into.counts[k] += from.counts[k];
  mergeDistinct(into.registers, from.registers);
  mergeHeavy(into.heavy, from.heavy);
}

/** Rows with a value. */
export function hashedRows({ counts }: HashedSketch): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
