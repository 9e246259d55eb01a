import { levelsOf } from './group.ts';
import { GROUP_FIELDS, type OutcomeGrid, type OutcomeSketch, SCORE_FIELDS } from './outcome.ts';

import {
  addScored,
  addToBlock,
  addValued,
  BLOCK_ROWS,
  emptyBlock,
  type PredictionBlock,
  placeRows,
  type Slice,
} from './prediction-block.ts';

const SCORE_STRIDE = SCORE_FIELDS.length;
const [FNV_OFFSET, FNV_PRIME] = [0x811c9dc5, 0x01000193];

/**
 * Counts predictions, and labels when they come, on the cells of one grid. What a row predicted is one number:
 * the score (0 or 1 without one), the class as `classOf` numbers it, or the value; its label likewise.
 */
export class OutcomeCells {
  readonly grid: OutcomeGrid;
  readonly #fields: number;
  /** First cell of each axis, then of each pair of axes, as `groupCells` orders them. */
  readonly #single: readonly number[];
  readonly #pairs: readonly { first: number; second: number; base: number; width: number }[];
  readonly #slices: readonly Slice[];
  readonly #places = new Int32Array(BLOCK_ROWS);
  readonly #alone: PredictionBlock;
  readonly #classes = new Map<string, number>();

  constructor(grid: OutcomeGrid) {
    this.grid = grid;
    this.#fields = GROUP_FIELDS[grid.kind].length;
    const { axes } = grid;
    let next = 1;
    this.#single = axes.map((axis) => {
      const base = next;
      next += levelsOf(axis);
      return base;
    });
    const pairs: { first: number; second: number; base: number; width: number }[] = [];
    for (let first = 0; first < axes.length; first += 1) {
      for (let second = first + 1; second < axes.length; second += 1) {
        const width = levelsOf(axes[second]);
        pairs.push({ first, second, base: next, width });
        next += levelsOf(axes[first]) * width;
      }
    }
    this.#pairs = pairs;
    this.#slices = [
      { base: 0, inner: null, outer: null, width: 0 },
      ...this.#single.map((base, inner) => ({ base, inner, outer: null, width: 0 })),
      ...pairs.map(({ first, second, base, width }) => ({
        base,
        inner: second,
        outer: first,
        width,
      })),
    ];
    this.#alone = emptyBlock(axes.length);
    for (const [at, value] of grid.classes.entries()) this.#classes.set(String(value), at);
  }

  /** A class as a number: its place in the grid, or for every other class a negative one of its own (a 32-bit hash). */
  classOf(value: string | number): number {
    const known = this.#classes.get(String(value));
    return known ?? -1 - hash(String(value));
  }

  /** `levels`: of each axis, by `GroupLevels`. `positive`: binary only. */
  countPrediction(
    into: OutcomeSketch,
    levels: ArrayLike<number>,
    prediction: number,
    positive: boolean,
  ): void {
    const block = this.#alone;
    block.rows = 0;
    addToBlock(block, levels, prediction, positive);
    this.countPredictions(into, block);
  }

  /** As `countPrediction` for each of its rows: a block at a time, so that nothing of a row is boxed for a call. */
  countPredictions(into: OutcomeSketch, block: PredictionBlock): void {
    const { rows } = block;
    const { groups } = into;
    const places = this.#places;
    for (let slice = 0; slice < this.#slices.length; slice += 1) {
      placeRows(this.#slices[slice], block, this.#fields, places);
      switch (this.grid.kind) {
        case 'binary':
          addScored(groups, places, block);
          break;
        case 'regression':
          addValued(groups, places, block);
          break;
        case 'multiclass':
          for (let row = 0; row < rows; row += 1) groups[places[row]] += 1;
      }
    }
    if (this.grid.scoreBins === 0) return;
    const { scores } = into;
    for (let row = 0; row < rows; row += 1) {
      const score = block.predictions[row];
      const bin = this.#bin(score) * SCORE_STRIDE;
      scores[bin + block.positive[row]] += 1;
      scores[bin + 2] += score;
    }
  }

  /** What the label adds to what `countPrediction` counted of the same row. */
  countLabel(
    into: OutcomeSketch,
    levels: ArrayLike<number>,
    prediction: number,
    positive: boolean,
    label: number,
  ): void {
    const { groups } = into;
    const fields = this.#fields;
    this.#addLabel(groups, 0, prediction, positive, label);
    for (let axis = 0; axis < this.#single.length; axis += 1) {
      const at = (this.#single[axis] + levels[axis]) * fields;
      this.#addLabel(groups, at, prediction, positive, label);
    }
    for (const { first, second, base, width } of this.#pairs) {
      const cell = base + levels[first] * width + levels[second];
      this.#addLabel(groups, cell * fields, prediction, positive, label);
    }
    if (this.grid.scoreBins > 0) {
      into.scores[this.#bin(prediction) * SCORE_STRIDE + (label === 1 ? 4 : 3)] += 1;
    }
    if (this.grid.kind === 'multiclass') {
      const side = this.grid.classes.length + 1;
      into.confusion[this.#row(prediction) * side + this.#row(label)] += 1;
    }
  }

  /** Whether the prediction was wrong, or by how much a value was off: |prediction - label|. */
  errorOf(prediction: number, positive: boolean, label: number): number {
    if (this.grid.kind === 'regression') return Math.abs(prediction - label);
    if (this.grid.kind === 'binary') return positive === (label === 1) ? 0 : 1;
    return prediction === label ? 0 : 1;
  }

  #row(value: number): number {
    return value < 0 ? this.grid.classes.length : value;
  }

  #bin(score: number): number {
    const bins = this.grid.scoreBins;
    return Math.min(bins - 1, Math.max(0, Math.floor(score * bins)));
  }

  #addLabel(
    groups: Float64Array,
    at: number,
    prediction: number,
    positive: boolean,
    label: number,
  ): void {
    switch (this.grid.kind) {
      case 'binary': {
        const truth = label === 1;
        groups[at + (truth ? (positive ? 4 : 6) : positive ? 5 : 7)] += 1;
        groups[at + 8] += label - prediction;
        return;
      }
      case 'multiclass':
        groups[at + 1] += 1;
        if (prediction === label) groups[at + 2] += 1;
        return;
      case 'regression': {
        const error = prediction - label;
        groups[at + 3] += 1;
        groups[at + 4] += error;
        groups[at + 5] += Math.abs(error);
        groups[at + 6] += error * error;
        groups[at + 7] += label;
        groups[at + 8] += label * label;
      }
    }
  }
}

/** FNV-1a over UTF-16 code units. */
function hash(text: string): number {
  let value = FNV_OFFSET;
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), FNV_PRIME);
  }
  return value >>> 0;
}
