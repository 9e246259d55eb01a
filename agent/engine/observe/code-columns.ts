import {
  addCategory,
  type CategoryGrid,
  type CategoryIndex,
  categoryIndex,
} from '../../../protocol/sketch/frequency.ts';
import { addHashed } from '../../../protocol/sketch/hashed.ts';
import type { FeatureSketch } from '../../../protocol/sketch/window.ts';
import type { NumericRows } from './numeric-columns.ts';

type Code = string | number | bigint;

/** One watched element whose values are codes: counted in a dictionary, or by their hashes. */
export class CodeColumn {
  readonly #tensor: string;
  readonly #index: number;
  readonly #side: 'inputs' | 'outputs';
  readonly #cells: CategoryIndex;

  constructor(
    { tensor, index }: { tensor: string; index: number },
    side: 'inputs' | 'outputs',
    grid: ({ kind: 'categorical' } & CategoryGrid) | { kind: 'hashed' },
  ) {
    this.#tensor = tensor;
    this.#index = index;
    this.#side = side;
    this.#cells = grid.kind === 'categorical' ? categoryIndex(grid) : new Map();
  }

  count(answers: readonly NumericRows[], sketch: FeatureSketch): void {
    for (let at = 0; at < answers.length; at += 1) {
      const { rows } = answers[at];
      const data = answers[at][this.#side].get(this.#tensor)?.data;
      if (data === undefined) {
        sketch.missing += rows;
        continue;
      }
      const width = rows === 0 ? 0 : data.length / rows;
      for (let row = 0, place = this.#index; row < rows; row += 1, place += width) {
        this.add(sketch, data[place]);
      }
    }
  }

  add(sketch: FeatureSketch, value: Code): void {
    if (sketch.kind === 'hashed') addHashed(sketch, value);
    else if (sketch.kind === 'categorical') {
      addCategory(sketch, this.#cells, typeof value === 'bigint' ? Number(value) : value);
    }
  }
}
