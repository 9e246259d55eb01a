import type { HistogramGrid } from './grid.ts';

/**
 * Finds the exact bin of a value through a fine log-linear grid. A value's z = (x − middle edge) / spread is rounded to
 * float32, and the top bits of that (sign, exponent, five bits of the mantissa) name one of CELLS cells, 32 to an octave. A table knows for each cell how many edges lie below all of it; what is left is to compare with
 * the edges inside the cell, nearly always none or one:
 *
 *     edges        |    |   | |  |    |        |
 *     cells    ....|..|..|.|.|.|.|..|..|....|......
 *     table    0   0  1  1 2 3 4 5  5  6  6   6
 *
 * Exact whatever the rounding, because every step is monotone: a cell further right never holds a smaller x. A binary
 * search takes as many dependent loads as there are bits in the number of bins; this takes two, whatever that is.
 */
export interface BinTable {
  /** The grid's edges, then Infinity. */
  readonly edges: Float64Array;
  /** Edges below each cell, by the cell's bits. */
  readonly below: Uint8Array;
  readonly middle: number;
  /** 1 / spread: above 0 and finite. */
  readonly scale: number;
}

/** Bits of a float32 below those that name its cell: sign, 8 of the exponent and 5 of the mantissa are left. */
export const CELL_SHIFT = 18;
export const CELLS = 2 ** (32 - CELL_SHIFT);

/** Keeps (x − middle) × scale finite for every x that a sketch takes. */
const MAX_SCALE = 2 ** 500;

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

export function binTable(grid: HistogramGrid): BinTable {
  const inner = grid.edges;
  const edges = new Float64Array(inner.length + 1).fill(Infinity);
  edges.set(inner);
  const middle = inner.length === 0 ? 0 : inner[inner.length >>> 1];
  const scale = scaleOf(inner, middle);
  const below = new Uint8Array(CELLS);
  // Cells in ascending order of what they hold: the negative ones from the largest magnitude down, then the others.
  const ordered = Array.from(inner, (edge) => orderOf(cellOf(edge, middle, scale)));
  for (let order = 0, passed = 0; order < CELLS; order += 1) {
    while (passed < ordered.length && ordered[passed] < order) passed += 1;
    below[order < CELLS / 2 ? CELLS - 1 - order : order - CELLS / 2] = passed;
  }
  return { edges, below, middle, scale };
}

/** The bin of a finite x with |x| <= MAX_MAGNITUDE: as `binOf`. */
export function binIn({ edges, below, middle, scale }: BinTable, x: number): number {
  let bin = below[cellOf(x, middle, scale)];
  while (edges[bin] <= x) bin += 1;
  return bin;
}

function cellOf(x: number, middle: number, scale: number): number {
  single[0] = (x - middle) * scale;
  return bits[0] >>> CELL_SHIFT;
}

function orderOf(cell: number): number {
  return cell < CELLS / 2 ? CELLS / 2 + cell : CELLS - 1 - cell;
}

/** Half of the edges lie within ±1 then, where cells are finest for their number. */
function scaleOf(edges: Float64Array, middle: number): number {
  const distances = edges.map((edge) => Math.abs(edge - middle)).sort();
  const spread = distances[distances.length >>> 1] || distances[distances.length - 1] || 1;
  return Math.min(1 / spread, MAX_SCALE);
}
