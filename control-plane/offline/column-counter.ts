import { type BinTable, binTable } from '../../protocol/sketch/bin-table.ts';
import {
  addCategory,
  type CategoricalSketch,
  type CategoryIndex,
  categoryIndex,
} from '../../protocol/sketch/frequency.ts';
import { addHashed, type HashedSketch } from '../../protocol/sketch/hashed.ts';
import { addNumericBlock, type NumericSketch } from '../../protocol/sketch/histogram.ts';
import { emptyFeature, type FeatureSketch } from '../../protocol/sketch/window.ts';
import { type ColumnPlan, textOfCell } from './column-learner.ts';
import type { Cell, ColumnData } from './table.ts';

/** Values of a column of numbers that are none; they count as missing. */
export interface Mismatch {
  readonly count: number;
  /** 1 for the first row. */
  readonly row: number;
  readonly value: string;
}

type Count = (data: ColumnData, firstRow: number) => void;

/** Counts one side of a column on the cells that its reference fixed. */
export class ColumnCounter {
  readonly sketch: FeatureSketch;
  readonly #count: Count;
  mismatch: Mismatch | null = null;

  /** @param plan one with a grid */
  constructor(plan: ColumnPlan & { grid: object }) {
    const sketch = emptyFeature(plan.grid);
    this.sketch = sketch;
    if (sketch.kind === 'numeric' && plan.grid.kind === 'numeric') {
      const table = binTable(plan.grid);
      this.#count =
        plan.kind === 'text'
          ? (data) => countLengths(sketch, table, data)
          : (data, firstRow) => this.#countNumbers(sketch, table, data, firstRow);
    } else if (sketch.kind === 'categorical' && plan.grid.kind === 'categorical') {
      const index = categoryIndex(plan.grid);
      this.#count = (data) => countCategories(sketch, index, data);
    } else if (sketch.kind === 'hashed') this.#count = (data) => countHashed(sketch, data);
    else throw new TypeError(`a sketch of ${sketch.kind} for a grid of ${plan.grid.kind}`);
  }

  /** @param firstRow 0 for the first of the table */
  add(data: ColumnData, firstRow: number): void {
    this.#count(data, firstRow);
  }

  #countNumbers(sketch: NumericSketch, table: BinTable, data: ColumnData, firstRow: number): void {
    if (data.kind === 'numbers') {
      sketch.missing += data.missing;
      addNumericBlock(sketch, table, data.values, 0, data.values.length);
      return;
    }
    const numbers: number[] = [];
    for (const [at, cell] of data.values.entries()) {
      if (typeof cell === 'number') numbers.push(cell);
      else {
        sketch.missing += 1;
        if (cell !== null) this.#mismatched(cell, firstRow + at + 1);
      }
    }
    addNumericBlock(sketch, table, Float64Array.from(numbers), 0, numbers.length);
  }

  #mismatched(cell: Exclude<Cell, null>, row: number): void {
    const { count = 0, ...first } = this.mismatch ?? { row, value: textOfCell(cell).slice(0, 40) };
    this.mismatch = { ...first, count: count + 1 };
  }
}

/** Each value that is not missing as text. */
function eachText(data: ColumnData, take: (text: string) => void): number {
  if (data.kind === 'numbers') {
    for (const value of data.values) take(String(value));
    return data.missing;
  }
  let missing = 0;
  for (const cell of data.values) {
    if (cell === null) missing += 1;
    else take(typeof cell === 'string' ? cell : textOfCell(cell));
  }
  return missing;
}

function countLengths(sketch: NumericSketch, table: BinTable, data: ColumnData): void {
  const lengths: number[] = [];
  sketch.missing += eachText(data, (text) => lengths.push(text.length));
  addNumericBlock(sketch, table, Float64Array.from(lengths), 0, lengths.length);
}

function countCategories(sketch: CategoricalSketch, index: CategoryIndex, data: ColumnData): void {
  sketch.missing += eachText(data, (text) => addCategory(sketch, index, text));
}

function countHashed(sketch: HashedSketch, data: ColumnData): void {
  sketch.missing += eachText(data, (text) => addHashed(sketch, text));
}
