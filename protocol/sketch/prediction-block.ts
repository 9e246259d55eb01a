/** Rows of a block of predictions. */
export const BLOCK_ROWS = 64;

/** Predicted rows that are counted together, at most BLOCK_ROWS. */
export interface PredictionBlock {
  rows: number;
  readonly axes: number;
  readonly predictions: Float64Array;
  /** 1 where it is positive. */
  readonly positive: Uint8Array;
  /** Row by row, the level of each axis. */
  readonly levels: Uint8Array;
}

export function emptyBlock(axes: number): PredictionBlock {
  return {
    rows: 0,
    axes,
    predictions: new Float64Array(BLOCK_ROWS),
    positive: new Uint8Array(BLOCK_ROWS),
    levels: new Uint8Array(BLOCK_ROWS * axes),
  };
}

/** The caller has seen that there is room. */
export function addToBlock(
  block: PredictionBlock,
  levels: ArrayLike<number>,
  prediction: number,
  positive: boolean,
): void {
  const { rows, axes } = block;
  block.predictions[rows] = prediction;
  block.positive[rows] = positive ? 1 : 0;
  for (let axis = 0; axis < axes; axis += 1) block.levels[rows * axes + axis] = levels[axis];
  block.rows = rows + 1;
}

/** Cells that take one count of each row: everyone's, those of one axis, or those of two. */
export interface Slice {
  readonly base: number;
  /** The axis whose levels follow each other; null: everyone's one cell. */
  readonly inner: number | null;
  /** The axis whose levels are `width` cells apart. */
  readonly outer: number | null;
  readonly width: number;
}

/** Where in `groups` the cell of each row begins. */
export function placeRows(
  { base, inner, outer, width }: Slice,
  { rows, axes, levels }: PredictionBlock,
  fields: number,
  places: Int32Array,
): void {
  for (let row = 0, at = 0; row < rows; row += 1, at += axes) {
    const cell = inner === null ? base : base + levels[at + inner];
    places[row] = (outer === null ? cell : cell + levels[at + outer] * width) * fields;
  }
}

/** In the order of `GROUP_FIELDS`, as `addValued`. */
export function addScored(groups: Float64Array, places: Int32Array, block: PredictionBlock): void {
  const { rows, predictions, positive } = block;
  for (let row = 0; row < rows; row += 1) {
    const at = places[row];
    const score = predictions[row];
    groups[at] += 1;
    groups[at + 1] += positive[row];
    groups[at + 2] += score;
    groups[at + 3] += score * score;
  }
}

export function addValued(groups: Float64Array, places: Int32Array, block: PredictionBlock): void {
  const { rows, predictions } = block;
  for (let row = 0; row < rows; row += 1) {
    const at = places[row];
    const value = predictions[row];
    groups[at] += 1;
    groups[at + 1] += value;
    groups[at + 2] += value * value;
  }
}
