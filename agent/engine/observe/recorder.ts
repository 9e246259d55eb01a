import type { Arm } from '../../../protocol/ids.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import {
  addCategory,
  type CategoricalSketch,
  type CategoryIndex,
  categoryIndex,
} from '../../../protocol/sketch/frequency.ts';
import type { HistogramGrid } from '../../../protocol/sketch/grid.ts';
import { addNumeric, type NumericSketch } from '../../../protocol/sketch/histogram.ts';
import { addLatency } from '../../../protocol/sketch/latency.ts';
import {
  emptyWindow,
  type FeatureGrid,
  type FeatureSketch,
  type WindowGrids,
  type WindowSketch,
} from '../../../protocol/sketch/window.ts';
import type { Gaps } from '../features/assemble.ts';
import type { WindowMessage } from '../messages.ts';
import type { Tensor } from '../model/runtime.ts';

/** A watched column: where it lies in which tensor, and where it is counted. */
type Column =
  | { kind: 'numeric'; tensor: string; index: number; grid: HistogramGrid }
  | { kind: 'categorical'; tensor: string; index: number; cells: CategoryIndex };

/**
 * Counts what one arm of one deployment answers, window by window, on the grids of its version's profile.
 * Knows no clock: whoever cuts a window says when it began.
 */
export class Recorder {
  readonly deployment: string;
  readonly manifestDigest: string;
  readonly arm: Arm;
  readonly #grids: WindowGrids;
  readonly #columns: readonly Column[];
  readonly #prediction: Column | null;
  #window: WindowSketch;

  constructor(
    deployment: string,
    manifestDigest: string,
    arm: Arm,
    manifest: Manifest,
    grids: WindowGrids,
  ) {
    this.deployment = deployment;
    this.manifestDigest = manifestDigest;
    this.arm = arm;
    this.#grids = grids;
    this.#columns = manifest.features.map((feature, at) => columnOf(feature, grids.features[at]));
    this.#prediction =
      manifest.prediction === null ? null : columnOf(manifest.prediction, grids.prediction);
    this.#window = emptyWindow(grids);
  }

  /**
   * An answered request: its inputs, its outputs, how many rows, how long from first byte to answer. `gaps`: elements
   * of its inputs that stand for values that could not be had.
   */
  answered(
    inputs: ReadonlyMap<string, Tensor>,
    outputs: ReadonlyMap<string, Tensor>,
    rows: number,
    latencyUs: number,
    gaps: Gaps | null = null,
  ): void {
    const window = this.#window;
    window.requests += 1;
    window.rows += rows;
    addLatency(window.latency, latencyUs);
    for (let at = 0; at < this.#columns.length; at += 1) {
      const column = this.#columns[at];
      const input = inputs.get(column.tensor);
      const missing = gaps?.get(column.tensor);
      if (missing === undefined || input === undefined) {
        countColumn(column, input, rows, window.features[at]);
      } else countWithGaps(column, input, rows, window.features[at], missing);
    }
    if (this.#prediction !== null) {
      const output = outputs.get(this.#prediction.tensor);
      const before = nonFinite(window.prediction);
      countColumn(this.#prediction, output, rows, window.prediction);
      window.nonFiniteOutputs += nonFinite(window.prediction) - before;
    }
  }

  /** A request that was right and still failed: the model threw, or answered what JSON can't carry. */
  failed(): void {
    this.#window.requests += 1;
    this.#window.errors += 1;
  }

  /** The finished window, or null when nothing was asked of this arm; starts an empty one. */
  cut(windowStartMs: number, windowMs: number): WindowMessage | null {
    const finished = this.#window;
    if (finished.requests === 0) return null;
    this.#window = emptyWindow(this.#grids);
    return {
      kind: 'window',
      deployment: this.deployment,
      manifest: this.manifestDigest,
      arm: this.arm,
      windowStartMs,
      windowMs,
      body: encodeWindow(finished),
    };
  }

  /** The window being filled; the profile builder reads the whole baseline out of it. */
  get current(): WindowSketch {
    return this.#window;
  }
}

function columnOf(place: { tensor: string; index: number }, grid: FeatureGrid): Column {
  const { tensor, index } = place;
  return grid.kind === 'numeric'
    ? { kind: 'numeric', tensor, index, grid }
    : { kind: 'categorical', tensor, index, cells: categoryIndex(grid) };
}

function nonFinite(sketch: FeatureSketch): number {
  return sketch.kind === 'numeric' ? sketch.nonFinite : 0;
}

/** As `countColumn`; elements at the places in `missing` are counted as missing. */
function countWithGaps(
  column: Column,
  { datatype, data }: Tensor,
  rows: number,
  sketch: FeatureSketch,
  missing: ReadonlySet<number>,
): void {
  const width = rows === 0 ? 0 : data.length / rows;
  for (let row = 0, at = column.index; row < rows; row += 1, at += width) {
    if (missing.has(at)) sketch.missing += 1;
    else {
      const value = { datatype, shape: [1], data: data.slice(at, at + 1) };
      countColumn({ ...column, index: 0 }, value, 1, sketch);
    }
  }
}

function countColumn(
  column: Column,
  tensor: Tensor | undefined,
  rows: number,
  sketch: FeatureSketch,
): void {
  if (tensor === undefined) {
    sketch.missing += rows;
    return;
  }
  const { data } = tensor;
  const width = rows === 0 ? 0 : data.length / rows;
  if (column.kind === 'numeric') {
    const numeric = sketch as NumericSketch;
    for (let row = 0, at = column.index; row < rows; row += 1, at += width) {
      addNumeric(numeric, column.grid, Number(data[at]));
    }
    return;
  }
  const categorical = sketch as CategoricalSketch;
  for (let row = 0, at = column.index; row < rows; row += 1, at += width) {
    const value = data[at];
    addCategory(categorical, column.cells, typeof value === 'bigint' ? Number(value) : value);
  }
}
