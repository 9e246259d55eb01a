/**
 * The most frequent hashes of a stream (Misra and Gries 1982; merged as Agarwal et al. 2012, "Mergeable summaries").
 *
 * Of `rows` rows, a hash that occurred f times has a count c with  c <= f <= c + (rows − Σ c) / (HEAVY_COUNTERS + 1).
 * So every hash with more than 1/129 of the rows is here, whatever the order and however often parts were merged. The
 * bound is exact; which of the rarer ones are here besides depends on the order.
 */
export interface HeavyHitters {
  /** Open addressing with linear probing from the hash's low bits; a slot is free where its count is 0. */
  readonly hashes: Uint32Array;
  readonly counts: Float64Array;
  size: number;
}

export interface HeavyHitter {
  readonly hash: number;
  readonly count: number;
}

export const HEAVY_COUNTERS = 128;

/** Half of the slots stay free, so that a probe ends soon. */
const SLOTS = 2 * HEAVY_COUNTERS;

export function emptyHeavyHitters(): HeavyHitters {
  return { hashes: new Uint32Array(SLOTS), counts: new Float64Array(SLOTS), size: 0 };
}

/**
 * Counts one row. Does not allocate while there is room. Where there is none, the row and all counters lose one: each
 * such pass over the counters has been paid for by HEAVY_COUNTERS rows.
 */
export function addHeavy(sketch: HeavyHitters, hash: number): void {
  const { counts } = sketch;
  const slot = slotOf(sketch, hash);
  if (counts[slot] > 0) {
    counts[slot] += 1;
    return;
  }
  if (sketch.size === HEAVY_COUNTERS) {
    lower(sketch, listed(sketch), 1);
    return;
  }
  sketch.hashes[slot] = hash;
  counts[slot] = 1;
  sketch.size += 1;
}

/** Adds the counters, then takes the (HEAVY_COUNTERS + 1)-th largest off each: that many rows of each are forgotten. */
export function mergeHeavy(into: HeavyHitters, from: HeavyHitters): void {
  const all = new Map(listed(into).map(({ hash, count }) => [hash, count]));
  for (const { hash, count } of listed(from)) all.set(hash, (all.get(hash) ?? 0) + count);
  const counters = [...all].map(([hash, count]) => ({ hash, count }));
  const sorted = counters.map(({ count }) => count).sort((a, b) => b - a);
  lower(into, counters, sorted[HEAVY_COUNTERS] ?? 0);
}

/** Most frequent first; equally frequent ones in ascending order of hash. */
export function heaviest(sketch: HeavyHitters): HeavyHitter[] {
  return listed(sketch).sort((a, b) => b.count - a.count || a.hash - b.hash);
}

/** In the order of their slots. */
export function listed({ hashes, counts }: HeavyHitters): HeavyHitter[] {
  const found: HeavyHitter[] = [];
  for (let slot = 0; slot < SLOTS; slot += 1) {
    if (counts[slot] > 0) found.push({ hash: hashes[slot], count: counts[slot] });
  }
  return found;
}

/** Puts these counters, less `by`, in the place of what is there. */
export function lower(sketch: HeavyHitters, counters: readonly HeavyHitter[], by: number): void {
  sketch.hashes.fill(0);
  sketch.counts.fill(0);
  sketch.size = 0;
  for (const { hash, count } of counters) {
    if (count <= by) continue;
    const slot = slotOf(sketch, hash);
    sketch.hashes[slot] = hash;
    sketch.counts[slot] = count - by;
    sketch.size += 1;
  }
}

/** Where the hash is, or would be put. */
function slotOf({ hashes, counts }: HeavyHitters, hash: number): number {
  let slot = hash % SLOTS;
  while (counts[slot] > 0 && hashes[slot] !== hash) slot = (slot + 1) % SLOTS;
  return slot;
}
