/**
 * What bounds counting a value, to choose how it is done: ns of CPU a value, 16 columns, blocks of 128 rows.
 * `node dist/bench/evaluate/value-loop.js`.
 */
import { binTable } from '../../protocol/sketch/bin-table.ts';
import { gridFromReference } from '../../protocol/sketch/grid.ts';
import { addNumericBlock, emptyNumeric } from '../../protocol/sketch/histogram.ts';
import { seeded } from '../../test/support/random-models.ts';
import { drawValue } from '../support/recorded.ts';
import { quartiles, table } from '../support/report.ts';

const COLUMNS = 16;
const ROWS = 128;
const STRIDE = ROWS + 8;
const ROUNDS = 15;
const CALLS = 2000;
/** Sign, exponent and 3 mantissa bits of a float32: 8 cells an octave. */
const SHIFT = 20;
const CELLS = 2 ** (32 - SHIFT);

const random = seeded(5);
const grids = Array.from({ length: COLUMNS }, (_, column) =>
  gridFromReference(Float64Array.from({ length: 20_000 }, () => drawValue(column, random))),
);
const tables = grids.map(binTable);
const sketches = grids.map(emptyNumeric);
const doubles = new Float64Array(COLUMNS * STRIDE);
for (let column = 0; column < COLUMNS; column += 1) {
  for (let row = 0; row < ROWS; row += 1)
    doubles[column * STRIDE + row] = drawValue(column, random);
}
const floats = Float32Array.from(doubles);
const bits = new Uint32Array(floats.buffer);
const cells = new Uint32Array(COLUMNS * CELLS);
const sums = new Float64Array(COLUMNS * CELLS);

/** Cells only: bins, moments and range would be made from them at the cut. */
function fine(column: number): void {
  const base = column * CELLS;
  for (let at = column * STRIDE; at < column * STRIDE + ROWS; at += 1) {
    cells[base + (bits[at] >>> SHIFT)] += 1;
  }
}

/** Cells, and what a Wasserstein distance as near as today's needs. */
function fineWithSums(column: number): void {
  const base = column * CELLS;
  for (let at = column * STRIDE; at < column * STRIDE + ROWS; at += 1) {
    const cell = base + (bits[at] >>> SHIFT);
    cells[cell] += 1;
    sums[cell] += floats[at];
  }
}

/** Cells, then moments and range in a pass of their own. */
function fineWithMoments(column: number): void {
  fine(column);
  const moments = sketches[column].moments;
  const origin = floats[column * STRIDE];
  let { min, max } = moments;
  let sum = 0;
  let squares = 0;
  for (let at = column * STRIDE; at < column * STRIDE + ROWS; at += 1) {
    const x = floats[at];
    const offset = x - origin;
    sum += offset;
    squares += offset * offset;
    min = x < min ? x : min;
    max = x > max ? x : max;
  }
  Object.assign(moments, { min, max, mean: moments.mean + sum, m2: moments.m2 + squares });
}

const ways: Readonly<Record<string, (column: number) => void>> = {
  'bins of the reference, sums, moments, range (as it is)': (column) =>
    addNumericBlock(
      sketches[column],
      tables[column],
      doubles,
      column * STRIDE,
      column * STRIDE + ROWS,
    ),
  'fine cells alone': fine,
  'fine cells and their sums': fineWithSums,
  'fine cells; moments and range in a second pass': fineWithMoments,
};

function time(way: (column: number) => void): number {
  const start = process.cpuUsage();
  for (let call = 0; call < CALLS; call += 1) {
    for (let column = 0; column < COLUMNS; column += 1) way(column);
  }
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / (CALLS * COLUMNS * ROWS);
}

const found = Object.keys(ways).map(() => [] as number[]);
for (let round = -2; round < ROUNDS; round += 1) {
  for (const [at, way] of Object.values(ways).entries()) {
    const ns = time(way);
    if (round >= 0) found[at].push(ns);
  }
}
const lines = Object.keys(ways).map((name, at) => {
  const { median, q1, q3 } = quartiles(found[at]);
  return [name, ...[median, q1, q3].map((ns) => ns.toFixed(2))];
});
process.stdout.write(`${table([['counted', 'ns/value', 'q1', 'q3'], ...lines])}\n`);
