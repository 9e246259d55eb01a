/** Uniform numbers in [0, 1) from a seed (mulberry32), so that a failing trial fails again. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Counts of `rows` draws over cells of the given shares. */
export function drawCounts(
  uniform: () => number,
  rows: number,
  shares: readonly number[],
): Float64Array {
  const counts = new Float64Array(shares.length);
  for (let row = 0; row < rows; row += 1) {
    let rest = uniform();
    let cell = 0;
    while (cell < shares.length - 1 && rest >= shares[cell]) {
      rest -= shares[cell];
      cell += 1;
    }
    counts[cell] += 1;
  }
  return counts;
}

/** Equal shares of 1. */
export function equalShares(cells: number): number[] {
  return new Array<number>(cells).fill(1 / cells);
}
