import type { Slot, Step } from './step.ts';
import type { TreeTable } from './tree-table.ts';
import type { TreeWalk } from './tree-walk.ts';

export type Aggregate = 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';
export type PostTransform = 'NONE' | 'LOGISTIC' | 'SOFTMAX' | 'SOFTMAX_ZERO';

/** Scores of one row while trees vote. `voted` tells a class with the sum 0 from one that nobody voted for. */
export interface Votes {
  readonly scores: Float32Array;
  readonly voted: Uint8Array;
}

/** Makes the outputs of one row from its votes: scores from `registers[to]` on, for a classifier its label too. */
export type Finish = (votes: Votes, registers: Float64Array) => void;

/** A tree ensemble on one row; float32 sums in the order of the trees, as ONNX Runtime on one thread has them. */
export class TreeStep implements Step {
  readonly #table: TreeTable;
  readonly #walk: TreeWalk;
  readonly #from: Slot;
  readonly #finish: Finish;
  readonly #aggregate: Aggregate;
  readonly #leaves: Int32Array;
  readonly #votes: Votes;
  /** The one weight of each leaf where no leaf has two and all are for one target; else null. */
  readonly #single: { target: number; values: Float32Array } | null;

  constructor(
    table: TreeTable,
    walk: TreeWalk,
    from: Slot,
    targets: number,
    aggregate: Aggregate,
    finish: Finish,
  ) {
    this.#table = table;
    this.#walk = walk;
    this.#from = from;
    this.#finish = finish;
    this.#aggregate = aggregate;
    this.#leaves = new Int32Array(table.roots.length);
    this.#votes = { scores: new Float32Array(targets), voted: new Uint8Array(targets) };
    this.#single = aggregate === 'MIN' || aggregate === 'MAX' ? null : onlyTarget(table, targets);
  }

  run(registers: Float64Array): void {
    this.#walk.find(registers, this.#from.at, this.#leaves);
    const { scores, voted } = this.#votes;
    scores.fill(0);
    voted.fill(0);
    if (this.#single !== null) {
      scores[this.#single.target] = sum(this.#leaves, this.#single.values);
      voted[this.#single.target] = 1;
    } else if (this.#aggregate === 'MIN' || this.#aggregate === 'MAX') this.#extremes();
    else this.#sums();
    if (this.#aggregate === 'AVERAGE') {
      for (let i = 0; i < scores.length; i += 1) scores[i] /= this.#leaves.length;
    }
    this.#finish(this.#votes, registers);
  }

  #sums(): void {
    const { weightStart, weightTarget, weightValue } = this.#table;
    const { scores, voted } = this.#votes;
    for (const leaf of this.#leaves) {
      for (let w = weightStart[leaf]; w < weightStart[leaf + 1]; w += 1) {
        scores[weightTarget[w]] += weightValue[w];
        voted[weightTarget[w]] = 1;
      }
    }
  }

  #extremes(): void {
    const { weightStart, weightTarget, weightValue } = this.#table;
    const { scores, voted } = this.#votes;
    const least = this.#aggregate === 'MIN';
    for (const leaf of this.#leaves) {
      for (let w = weightStart[leaf]; w < weightStart[leaf + 1]; w += 1) {
        const target = weightTarget[w];
        const value = weightValue[w];
        const better = least ? value < scores[target] : value > scores[target];
        if (voted[target] === 0 || better) scores[target] = value;
        voted[target] = 1;
      }
    }
  }
}

function sum(leaves: Int32Array, values: Float32Array): number {
  let total = 0;
  for (let tree = 0; tree < leaves.length; tree += 1) {
    total = Math.fround(total + values[leaves[tree]]);
  }
  return total;
}

function onlyTarget(
  table: TreeTable,
  targets: number,
): { target: number; values: Float32Array } | null {
  const { weightStart, weightTarget, weightValue } = table;
  const target = weightTarget[0];
  const values = new Float32Array(table.mode.length);
  for (let node = 0; node < table.mode.length; node += 1) {
    const first = weightStart[node];
    const count = weightStart[node + 1] - first;
    // With one target ONNX Runtime takes a leaf's first weight and leaves the others.
    if (count > 1 && targets > 1) return null;
    if (count > 0) {
      if (weightTarget[first] !== target) return null;
      values[node] = weightValue[first];
    }
  }
  return { target, values };
}
