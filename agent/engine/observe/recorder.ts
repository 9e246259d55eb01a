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
import {
  addNumericColumn,
  type NumericSketch,
  type TensorRows,
} from '../../../protocol/sketch/histogram.ts';
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

/** An answered request as it is counted. */
export interface Answered {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
  /** From first byte to answer. */
  readonly latencyUs: number;
  /** Elements of its inputs that stand for values that could not be had. */
  readonly gaps: Gaps | null;
}

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

  /** Answered requests, in their order. Counted column by column: several at once cost a third of one by one. */
  answered(answers: readonly Answered[]): void {
    const window = this.#window;
    window.requests += answers.length;
    for (let at = 0; at < answers.length; at += 1) {
      window.rows += answers[at].rows;
      addLatency(window.latency, answers[at].latencyUs);
    }
    const whole = answers.every(({ gaps }) => gaps === null)
      ? answers
      : answers.filter((answer) => answer.gaps === null || this.#withGaps(answer, answer.gaps));
    const parts = new Map<string, Parts>();
    for (let at = 0; at < this.#columns.length; at += 1) {
      const column = this.#columns[at];
      let part = parts.get(column.tensor);
      if (part === undefined) {
        part = partsOf(whole, 'inputs', column.tensor);
        parts.set(column.tensor, part);
      }
      countColumn(column, part, window.features[at]);
    }
    if (this.#prediction === null) return;
    const before = nonFinite(window.prediction);
    const outputs = partsOf(answers, 'outputs', this.#prediction.tensor);
    countColumn(this.#prediction, outputs, window.prediction);
    window.nonFiniteOutputs += nonFinite(window.prediction) - before;
  }

  /** Counts the inputs of a request with gaps by itself; false, because that is done then. */
  #withGaps(answer: Answered, gaps: Gaps): false {
    for (const [at, column] of this.#columns.entries()) {
      const sketch = this.#window.features[at];
      const missing = gaps.get(column.tensor);
      const parts = partsOf([answer], 'inputs', column.tensor);
      if (missing === undefined) countColumn(column, parts, sketch);
      else countWithGaps(column, parts, sketch, missing);
    }
    return false;
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

/** One tensor of several requests. */
interface Parts {
  readonly present: readonly TensorRows[];
  /** Rows of the requests that lack it. */
  readonly absentRows: number;
}

function partsOf(answers: readonly Answered[], side: 'inputs' | 'outputs', tensor: string): Parts {
  const present: TensorRows[] = [];
  let absentRows = 0;
  for (let at = 0; at < answers.length; at += 1) {
    const { rows } = answers[at];
    const found = answers[at][side].get(tensor);
    if (found === undefined) absentRows += rows;
    else present.push({ data: found.data, rows, width: rows === 0 ? 0 : found.data.length / rows });
  }
  return { present, absentRows };
}

/** As `countColumn`; elements at the places in `missing` are counted as missing. */
function countWithGaps(
  column: Column,
  { present, absentRows }: Parts,
  sketch: FeatureSketch,
  missing: ReadonlySet<number>,
): void {
  sketch.missing += absentRows;
  for (const { data, rows, width } of present) {
    for (let row = 0, at = column.index; row < rows; row += 1, at += width) {
      if (missing.has(at)) sketch.missing += 1;
      else {
        const one = { present: [{ data: [data[at]], rows: 1, width: 1 }], absentRows: 0 };
        countColumn({ ...column, index: 0 }, one, sketch);
      }
    }
  }
}

function countColumn(column: Column, parts: Parts, sketch: FeatureSketch): void {
  sketch.missing += parts.absentRows;
  if (column.kind === 'numeric') {
    addNumericColumn(sketch as NumericSketch, column.grid, parts.present, column.index);
    return;
  }
  const categorical = sketch as CategoricalSketch;
  for (const { data, rows, width } of parts.present) {
    for (let row = 0, at = column.index; row < rows; row += 1, at += width) {
      const value = data[at];
      addCategory(categorical, column.cells, typeof value === 'bigint' ? Number(value) : value);
    }
  }
}
