import { SketchError } from '../../../protocol/sketch/error.ts';
import { addNumeric, type NumericSketch } from '../../../protocol/sketch/histogram.ts';
import type { FeatureGrid, FeatureSketch } from '../../../protocol/sketch/window.ts';
import type { Gaps } from '../features/assemble.ts';
import { CodeColumn } from './code-columns.ts';
import { type NumericColumn, NumericColumns, type NumericRows } from './numeric-columns.ts';

/** Where a watched column lies. */
export interface Place {
  readonly tensor: string;
  readonly index: number;
  /** `text`: the length of the element counts. */
  readonly kind: string;
}

/** Counts the watched columns of one side of a model, those of a tensor together. */
export class WatchedColumns {
  readonly #places: readonly Place[];
  readonly #grids: readonly FeatureGrid[];
  readonly #side: 'inputs' | 'outputs';
  readonly #codes: readonly { readonly feature: number; readonly column: CodeColumn }[];
  readonly #tensors: readonly {
    readonly features: readonly number[];
    readonly columns: NumericColumns;
  }[];
  #sketches: readonly FeatureSketch[] = [];

  /** `grids`: one for each place. */
  constructor(places: readonly Place[], grids: readonly FeatureGrid[], side: 'inputs' | 'outputs') {
    this.#places = places;
    this.#grids = grids;
    this.#side = side;
    this.#codes = places.flatMap((place, feature) => {
      const grid = grids[feature];
      return grid.kind === 'numeric'
        ? []
        : [{ feature, column: new CodeColumn(place, side, grid) }];
    });
    const byTensor = new Map<string, NumericColumn[]>();
    for (const [feature, { tensor, index, kind }] of places.entries()) {
      const grid = grids[feature];
      if (grid.kind !== 'numeric') continue;
      const columns = byTensor.get(tensor) ?? [];
      byTensor.set(tensor, [...columns, { index, grid, text: kind === 'text', feature }]);
    }
    this.#tensors = [...byTensor].map(([tensor, columns]) => ({
      features: columns.map(({ feature }) => feature),
      columns: new NumericColumns(tensor, side, columns),
    }));
  }

  /** From now on it is counted into these: those of a new window, one for each place. What came before is flushed. */
  open(sketches: readonly FeatureSketch[]): void {
    this.flush();
    this.#sketches = sketches;
    for (const { columns, features } of this.#tensors) {
      columns.open(features.map((feature) => numericOf(sketches[feature])));
    }
  }

  /** Counts what still waits for a block of rows to be full. */
  flush(): void {
    for (const { columns } of this.#tensors) columns.flush();
  }

  count(answers: readonly NumericRows[]): void {
    for (let at = 0; at < this.#tensors.length; at += 1) {
      this.#tensors[at].columns.count(answers);
    }
    for (let at = 0; at < this.#codes.length; at += 1) {
      const { feature, column } = this.#codes[at];
      column.count(answers, this.#sketches[feature]);
    }
  }

  /** As `count` for one request; elements in `gaps` stand for values that could not be had, and are missing. */
  countWithGaps(answer: NumericRows, gaps: Gaps): void {
    const codes = new Map(this.#codes.map(({ feature, column }) => [feature, column]));
    for (const [feature, { tensor, index, kind }] of this.#places.entries()) {
      const sketch = this.#sketches[feature];
      const data = answer[this.#side].get(tensor)?.data ?? null;
      for (let row = 0; row < answer.rows; row += 1) {
        const at = row * ((data?.length ?? 0) / answer.rows) + index;
        const value = data === null || gaps.get(tensor)?.has(at) ? null : data[at];
        if (value === null) sketch.missing += 1;
        else if (kind === 'text')
          this.#add(feature, typeof value === 'string' ? value.length : Number.NaN);
        else if (sketch.kind === 'numeric') this.#add(feature, Number(value));
        else codes.get(feature)?.add(sketch, value);
      }
    }
  }

  #add(feature: number, value: number): void {
    const [sketch, grid] = [this.#sketches[feature], this.#grids[feature]];
    if (sketch.kind === 'numeric' && grid.kind === 'numeric') addNumeric(sketch, grid, value);
  }
}

function numericOf(sketch: FeatureSketch): NumericSketch {
  if (sketch.kind === 'numeric') return sketch;
  throw new SketchError('shape', `a ${sketch.kind} sketch where a numeric column is counted`);
}
