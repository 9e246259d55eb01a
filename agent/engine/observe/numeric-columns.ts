import { type BinTable, binTable } from '../../../protocol/sketch/bin-table.ts';
import type { HistogramGrid } from '../../../protocol/sketch/grid.ts';
import { addNumericBlock, type NumericSketch } from '../../../protocol/sketch/histogram.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';

/** Rows that are collected before they are counted. */
const BLOCK_ROWS = 128;
/** Not a power of two: columns that lie 1 KiB apart would push each other out of the cache. */
const STRIDE = BLOCK_ROWS + 8;

/** One watched element of the rows of a tensor. */
export interface NumericColumn {
  readonly index: number;
  readonly grid: HistogramGrid;
  /** The element is a text, and its length in UTF-16 units is what counts; what is no text is not finite. */
  readonly text: boolean;
  /** Which of the window's sketches it is. */
  readonly feature: number;
}

/** Rows of one request that hold the tensor, or do not. */
export interface NumericRows {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
}

/**
 * Counts the numeric columns of one tensor. Rows are turned into columns first, BLOCK_ROWS at a time whichever requests
 * they came with, so that each column is then counted in one go with its numbers in registers: a value costs a third of
 * what it costs alone. What has not filled a block waits in it for `flush`; nothing of a request is held on to.
 */
export class NumericColumns {
  readonly #tensor: string;
  readonly #side: 'inputs' | 'outputs';
  readonly #columns: readonly NumericColumn[];
  readonly #tables: readonly BinTable[];
  readonly #indices: Int32Array;
  readonly #anyText: boolean;
  readonly #block: Float64Array;
  #filled = 0;
  #sketches: readonly NumericSketch[] = [];

  constructor(tensor: string, side: 'inputs' | 'outputs', columns: readonly NumericColumn[]) {
    this.#tensor = tensor;
    this.#side = side;
    this.#columns = columns;
    this.#tables = columns.map(({ grid }) => binTable(grid));
    this.#indices = Int32Array.from(columns, ({ index }) => index);
    this.#anyText = columns.some(({ text }) => text);
    this.#block = new Float64Array(columns.length * STRIDE);
  }

  /** From now on it is counted into these, one for each column in their order; what came before must be flushed. */
  open(sketches: readonly NumericSketch[]): void {
    this.#sketches = sketches;
  }

  count(answers: readonly NumericRows[]): void {
    for (let at = 0; at < answers.length; at += 1) {
      const { rows } = answers[at];
      const data = answers[at][this.#side].get(this.#tensor)?.data;
      if (data === undefined) this.#miss(rows);
      // A whole number that the compiler knows to be one: as a fraction it would be boxed for the call.
      else if (rows > 0) this.#turn(data, rows, (data.length / rows) | 0);
    }
  }

  #miss(rows: number): void {
    for (const sketch of this.#sketches) sketch.missing += rows;
  }

  #turn(data: TensorData, rows: number, width: number): void {
    const indices = this.#indices;
    const block = this.#block;
    for (let row = 0, at = 0; row < rows; row += 1, at += width) {
      const to = this.#filled;
      if (data instanceof Float32Array) turnFloat32(data, at, indices, block, to);
      else if (this.#anyText) this.#turnText(data, at, to);
      else turnAny(data, at, indices, block, to);
      this.#filled = to + 1;
      if (this.#filled === BLOCK_ROWS) this.flush();
    }
  }

  #turnText(data: TensorData, at: number, to: number): void {
    for (const [k, { index, text }] of this.#columns.entries()) {
      const value = data[at + index];
      const length = typeof value === 'string' ? value.length : Number.NaN;
      this.#block[k * STRIDE + to] = text ? length : Number(value);
    }
  }

  /** Counts the rows that wait. */
  flush(): void {
    const rows = this.#filled;
    this.#filled = 0;
    if (rows === 0) return;
    for (let k = 0, from = 0; k < this.#tables.length; k += 1, from += STRIDE) {
      addNumericBlock(this.#sketches[k], this.#tables[k], this.#block, from, from + rows);
    }
  }
}

/** Apart from `turnAny`, so that the compiler sees one kind of array here. */
function turnFloat32(
  data: Float32Array,
  at: number,
  indices: Int32Array,
  block: Float64Array,
  to: number,
): void {
  for (let k = 0, place = to; k < indices.length; k += 1, place += STRIDE) {
    block[place] = data[at + indices[k]];
  }
}

function turnAny(
  data: TensorData,
  at: number,
  indices: Int32Array,
  block: Float64Array,
  to: number,
): void {
  for (let k = 0, place = to; k < indices.length; k += 1, place += STRIDE) {
    block[place] = Number(data[at + indices[k]]);
  }
}
