import type { Tensor } from '../../agent/engine/model/runtime.ts';
import {
  type AttributeValue,
  buildModel,
  type ConstantSpec,
  type NodeSpec,
} from './onnx-graph-builder.ts';

/** Numbers in [0, 1) from a seed (mulberry32), so that a failing case can be run again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface TreeOptions {
  readonly kind: 'classifier' | 'regressor';
  readonly trees: number;
  readonly depth: number;
  readonly features: number;
  /** Classes or targets. */
  readonly targets: number;
  /** A node before the last level is a leaf with this probability. */
  readonly earlyLeaf?: number;
  readonly modes?: readonly string[];
  readonly missing?: boolean;
  readonly postTransform?: string;
  readonly aggregate?: string;
  readonly base?: readonly number[];
  /** Every leaf votes for target 0 alone, for one at random, or for all. */
  readonly votes?: 'first' | 'one' | 'all';
  readonly positive?: boolean;
  readonly labels?: readonly string[];
}

/** Thresholds come from a grid, so that rows from the same grid meet them exactly. */
export const GRID = [-2, -1, -0.5, -0, 0, 0.25, 0.5, 1, 2];

interface Columns {
  readonly ids: number[];
  readonly trees: number[];
  readonly features: number[];
  readonly values: number[];
  readonly modes: string[];
  readonly whenTrue: number[];
  readonly whenFalse: number[];
  readonly missing: number[];
  readonly votes: { tree: number; node: number; target: number; weight: number }[];
}

export function treeColumns(options: TreeOptions, random: () => number): Columns {
  const columns: Columns = {
    ids: [],
    trees: [],
    features: [],
    values: [],
    modes: [],
    whenTrue: [],
    whenFalse: [],
    missing: [],
    votes: [],
  };
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)];
  const { modes = ['BRANCH_LEQ'], votes = 'first', targets } = options;
  for (let tree = 0; tree < options.trees; tree += 1) {
    const first = columns.ids.length;
    const grow = (level: number): number => {
      const at = columns.ids.length;
      const id = at - first;
      const leaf = level === options.depth || (level > 0 && random() < (options.earlyLeaf ?? 0));
      columns.ids.push(id);
      columns.trees.push(tree);
      columns.features.push(leaf ? 0 : Math.floor(random() * options.features));
      columns.values.push(leaf ? 0 : random() < 0.5 ? pick(GRID) : Math.fround(4 * random() - 2));
      columns.modes.push(leaf ? 'LEAF' : pick(modes));
      columns.missing.push(!leaf && options.missing === true && random() < 0.5 ? 1 : 0);
      columns.whenTrue.push(0);
      columns.whenFalse.push(0);
      if (!leaf) {
        columns.whenTrue[at] = grow(level + 1);
        columns.whenFalse[at] = grow(level + 1);
        return id;
      }
      const chosen =
        votes === 'all'
          ? Array.from({ length: targets }, (_, target) => target)
          : [votes === 'first' ? 0 : Math.floor(random() * targets)];
      for (const target of chosen) {
        const weight = (options.positive ? random() : 2 * random() - 1) / options.trees;
        columns.votes.push({ tree, node: id, target, weight });
      }
      return id;
    };
    grow(0);
  }
  return columns;
}

export function treeNode(options: TreeOptions, columns: Columns, input: string): NodeSpec {
  const classifier = options.kind === 'classifier';
  const prefix = classifier ? 'class' : 'target';
  const { votes } = columns;
  const attributes: Record<string, AttributeValue> = {
    nodes_nodeids: { ints: columns.ids },
    nodes_treeids: { ints: columns.trees },
    nodes_featureids: { ints: columns.features },
    nodes_values: { floats: columns.values },
    nodes_modes: { strings: columns.modes },
    nodes_truenodeids: { ints: columns.whenTrue },
    nodes_falsenodeids: { ints: columns.whenFalse },
    [`${prefix}_treeids`]: { ints: votes.map((vote) => vote.tree) },
    [`${prefix}_nodeids`]: { ints: votes.map((vote) => vote.node) },
    [`${prefix}_ids`]: { ints: votes.map((vote) => vote.target) },
    [`${prefix}_weights`]: { floats: votes.map((vote) => vote.weight) },
    post_transform: { s: options.postTransform ?? 'NONE' },
  };
  if (options.missing) attributes.nodes_missing_value_tracks_true = { ints: columns.missing };
  if (options.base) attributes.base_values = { floats: options.base };
  if (classifier && options.labels) attributes.classlabels_strings = { strings: options.labels };
  else if (classifier) {
    const labels = Array.from({ length: options.targets }, (_, at) => 10 * at);
    attributes.classlabels_int64s = { ints: options.targets === 2 ? [0, 1] : labels };
  } else {
    attributes.n_targets = { i: options.targets };
    attributes.aggregate_function = { s: options.aggregate ?? 'SUM' };
  }
  return {
    op: classifier ? 'TreeEnsembleClassifier' : 'TreeEnsembleRegressor',
    domain: 'ai.onnx.ml',
    inputs: [input],
    outputs: classifier ? ['label', 'scores'] : ['scores'],
    attributes,
  };
}

/** A file with one ensemble: `x` [N, features] in, `scores` [N, targets] and for a classifier `label` [N] out. */
export function treeModel(options: TreeOptions, seed: number): Uint8Array {
  return treeModelOf(options, treeColumns(options, seeded(seed)));
}

export function treeModelOf(options: TreeOptions, columns: Columns): Uint8Array {
  const label = { name: 'label', type: options.labels ? 'string' : 'int64', shape: ['N'] } as const;
  const scores = { name: 'scores', type: 'float', shape: ['N', options.targets] } as const;
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape: ['N', options.features] }],
    outputs: options.kind === 'classifier' ? [label, scores] : [scores],
    nodes: [treeNode(options, columns, 'x')],
  });
}

export interface MlpOptions {
  readonly widths: readonly number[];
  readonly activation: string;
  readonly last?: string;
  /** How a layer is written. */
  readonly form: 'gemm' | 'gemm-transposed' | 'matmul';
}

/** A multilayer perceptron: `x` [N, first width] in, `y` [N, last width] out. */
export function mlpModel(options: MlpOptions, seed: number): Uint8Array {
  const random = seeded(seed);
  const nodes: NodeSpec[] = [];
  const constants: ConstantSpec[] = [];
  let value = 'x';
  const { widths, form } = options;
  for (let layer = 0; layer + 1 < widths.length; layer += 1) {
    const [k, n] = [widths[layer], widths[layer + 1]];
    const dims = form === 'gemm-transposed' ? [n, k] : [k, n];
    const weights = Array.from({ length: k * n }, () => (2 * random() - 1) / Math.sqrt(k));
    constants.push({ name: `w${layer}`, dims, values: weights });
    constants.push({
      name: `b${layer}`,
      dims: [n],
      values: Array.from({ length: n }, () => random() - 0.5),
    });
    if (form === 'matmul') {
      nodes.push({ op: 'MatMul', inputs: [value, `w${layer}`], outputs: [`m${layer}`] });
      nodes.push({ op: 'Add', inputs: [`b${layer}`, `m${layer}`], outputs: [`h${layer}`] });
    } else {
      const attributes = { transB: { i: form === 'gemm-transposed' ? 1 : 0 } };
      const inputs = [value, `w${layer}`, `b${layer}`];
      nodes.push({ op: 'Gemm', inputs, outputs: [`h${layer}`], attributes });
    }
    const last = layer + 2 === widths.length;
    const op = last ? (options.last ?? 'Identity') : options.activation;
    value = last ? 'y' : `a${layer}`;
    nodes.push({ op, inputs: [`h${layer}`], outputs: [value] });
  }
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape: ['N', widths[0]] }],
    outputs: [{ name: 'y', type: 'float', shape: ['N', widths[widths.length - 1]] }],
    nodes,
    constants,
  });
}

/** Rows of the grid, of uniform numbers and, where asked, of values that are no ordinary numbers. */
export function randomRows(
  rows: number,
  features: number,
  random: () => number,
  special: readonly number[] = [],
): Float32Array {
  return Float32Array.from({ length: rows * features }, () => {
    const how = random();
    if (special.length > 0 && how < 0.1) return special[Math.floor(random() * special.length)];
    if (how < 0.6) return GRID[Math.floor(random() * GRID.length)];
    return 6 * random() - 3;
  });
}

/** A float32 tensor of so many rows. */
export function floats(rows: number, data: Float32Array): Tensor {
  return { datatype: 'FP32', shape: [rows, data.length / rows], data };
}
