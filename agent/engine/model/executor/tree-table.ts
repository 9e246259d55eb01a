import type { GraphNode } from './graph.ts';
import { Unsupported } from './unsupported.ts';

/** Nodes of all trees together; two words of each must fit the 22 bits that the walk keeps for a place. */
export const MAX_TREE_NODES = 1 << 20;
/** Leaf weights of all trees together (a leaf has one for each class that it votes for). */
export const MAX_TREE_WEIGHTS = 1 << 22;

export const MODES = [
  'BRANCH_LEQ',
  'BRANCH_LT',
  'BRANCH_GTE',
  'BRANCH_GT',
  'BRANCH_EQ',
  'BRANCH_NEQ',
  'LEAF',
] as const;
export type Mode = (typeof MODES)[number];
export const LEAF = MODES.indexOf('LEAF');

/** The trees of one operator, checked: every reference exists and no path comes back to where it was. */
export interface TreeTable {
  /** First node of each tree, in the order in which ONNX Runtime sums them. */
  readonly roots: Int32Array;
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  /** Place in `MODES`. */
  readonly mode: Uint8Array;
  /** 1 where a NaN takes the true branch. */
  readonly missingTrue: Uint8Array;
  readonly whenTrue: Int32Array;
  readonly whenFalse: Int32Array;
  /** Steps from a node to its deepest leaf. */
  readonly height: Int32Array;
  /** Some node is reached by two ways; LightGBM writes set membership so. */
  readonly shared: boolean;
  /** Weights of node n are those from `weightStart[n]` to `weightStart[n + 1]`. */
  readonly weightStart: Int32Array;
  readonly weightTarget: Int32Array;
  readonly weightValue: Float32Array;
}

/** Reads the attributes of ai.onnx.ml 1-3 TreeEnsembleClassifier ('class') or TreeEnsembleRegressor ('target'). */
export function readTreeTable(
  node: GraphNode,
  prefix: 'class' | 'target',
  targets: number,
  features: number,
): TreeTable {
  const ids = column(node, 'nodes_nodeids');
  const trees = column(node, 'nodes_treeids');
  const count = ids.length;
  if (count === 0 || count > MAX_TREE_NODES) {
    throw new Unsupported(`${count} tree nodes; 1 to ${MAX_TREE_NODES} are executed`);
  }
  sameLength(count, trees);
  const places = new Map<number, number>();
  for (let at = 0; at < count; at += 1) {
    const key = placeKey(trees[at], ids[at], count);
    if (places.has(key))
      throw new Unsupported(`node ${ids[at]} of tree ${trees[at]} is there twice`);
    places.set(key, at);
  }
  const mode = readModes(node, count);
  const feature = readFeatures(node, count, features, mode);
  const threshold = Float32Array.from(sameLength(count, floats(node, 'nodes_values')));
  const missing = column(node, 'nodes_missing_value_tracks_true');
  if (missing.length !== 0) sameLength(count, missing);
  const missingTrue = Uint8Array.from({ length: count }, (_, at) => (missing[at] === 1 ? 1 : 0));
  const child = (name: string) => {
    const to = sameLength(count, column(node, name));
    return Int32Array.from(to, (id, at) => {
      if (mode[at] === LEAF) return at;
      const place = places.get(placeKey(trees[at], id, count));
      if (place === undefined) {
        throw new Unsupported(
          `node ${ids[at]} of tree ${trees[at]} leads to node ${id}, which is not there`,
        );
      }
      return place;
    });
  };
  const whenTrue = child('nodes_truenodeids');
  const whenFalse = child('nodes_falsenodeids');
  const roots = findRoots(trees);
  const { height, shared } = measure(roots, whenTrue, whenFalse, mode);
  const weights = readWeights(node, prefix, targets, places, mode);
  const branches = { feature, threshold, mode, missingTrue, whenTrue, whenFalse };
  return { roots, ...branches, height, shared, ...weights };
}

function column(node: GraphNode, name: string): Float64Array {
  return node.attributes.get(name)?.integers ?? new Float64Array(0);
}

function floats(node: GraphNode, name: string): Float64Array {
  if (node.attributes.has(`${name}_as_tensor`)) throw new Unsupported(`${name} in float64`);
  return node.attributes.get(name)?.floats ?? new Float64Array(0);
}

function sameLength(count: number, values: Float64Array): Float64Array {
  if (values.length !== count) {
    throw new Unsupported(`tree attributes of ${values.length} and of ${count} values`);
  }
  return values;
}

function placeKey(tree: number, id: number, count: number): number {
  if (id < 0 || id >= count || tree < 0 || tree >= 2 ** 31) {
    throw new Unsupported(`node ${id} of tree ${tree} is out of range (${count} nodes)`);
  }
  return tree * MAX_TREE_NODES + id;
}

function readModes(node: GraphNode, count: number): Uint8Array {
  const texts = node.attributes.get('nodes_modes')?.texts ?? [];
  if (texts.length !== count)
    throw new Unsupported(`${texts.length} modes for ${count} tree nodes`);
  return Uint8Array.from(texts, (text) => {
    const at = MODES.indexOf(text as Mode);
    if (at < 0) throw new Unsupported(`tree nodes of mode "${text}"`);
    return at;
  });
}

function readFeatures(
  node: GraphNode,
  count: number,
  features: number,
  mode: Uint8Array,
): Int32Array {
  const ids = sameLength(count, column(node, 'nodes_featureids'));
  return Int32Array.from(ids, (id, at) => {
    if (mode[at] === LEAF) return 0;
    if (id < 0 || id >= features) {
      throw new Unsupported(`a tree looks at feature ${id} of ${features}`);
    }
    return id;
  });
}

/** The first node listed of each tree is its root, as in ONNX Runtime. */
function findRoots(trees: Float64Array): Int32Array {
  const roots: number[] = [];
  const seen = new Set<number>();
  for (let at = 0; at < trees.length; at += 1) {
    if (at > 0 && trees[at] === trees[at - 1]) continue;
    if (seen.has(trees[at])) throw new Unsupported(`tree ${trees[at]} is listed in parts`);
    seen.add(trees[at]);
    roots.push(at);
  }
  return Int32Array.from(roots);
}

const UNSEEN = -2;
const OPEN = -1;

/** Heights by depth-first search with a stack of our own: a tree may be a chain of a million nodes. */
function measure(
  roots: Int32Array,
  whenTrue: Int32Array,
  whenFalse: Int32Array,
  mode: Uint8Array,
): { height: Int32Array; shared: boolean } {
  const height = new Int32Array(mode.length).fill(UNSEEN);
  let shared = false;
  for (const root of roots) {
    const stack = [root];
    while (stack.length > 0) {
      const at = stack[stack.length - 1];
      if (mode[at] === LEAF) height[at] = 0;
      else if (height[at] === UNSEEN) {
        height[at] = OPEN;
        for (const child of [whenTrue[at], whenFalse[at]]) {
          if (height[child] === OPEN) throw new Unsupported('a tree has a cycle');
          if (height[child] === UNSEEN) stack.push(child);
          else shared = true;
        }
        continue;
      } else if (height[at] === OPEN) {
        const below = [whenTrue[at], whenFalse[at]];
        if (below.some((child) => height[child] < 0)) throw new Unsupported('a tree has a cycle');
        height[at] = 1 + Math.max(...below.map((child) => height[child]));
      } else shared = true;
      stack.pop();
    }
  }
  return { height, shared };
}

function readWeights(
  node: GraphNode,
  prefix: 'class' | 'target',
  targets: number,
  places: ReadonlyMap<number, number>,
  mode: Uint8Array,
): Pick<TreeTable, 'weightStart' | 'weightTarget' | 'weightValue'> {
  const values = floats(node, `${prefix}_weights`);
  const count = values.length;
  if (count > MAX_TREE_WEIGHTS) throw new Unsupported(`more than ${MAX_TREE_WEIGHTS} leaf weights`);
  const targetIds = sameLength(count, column(node, `${prefix}_ids`));
  const nodeIds = sameLength(count, column(node, `${prefix}_nodeids`));
  const treeIds = sameLength(count, column(node, `${prefix}_treeids`));
  const owner = Int32Array.from(nodeIds, (id, at) => {
    const place = places.get(placeKey(treeIds[at], id, mode.length));
    if (place === undefined || targetIds[at] < 0 || targetIds[at] >= targets) {
      throw new Unsupported(`weight ${at} is for node ${id}, target ${targetIds[at]}`);
    }
    return place;
  });
  const weightStart = new Int32Array(mode.length + 1);
  for (const place of owner) weightStart[place + 1] += 1;
  for (let at = 0; at < mode.length; at += 1) {
    if (mode[at] === LEAF && weightStart[at + 1] === 0)
      throw new Unsupported('a leaf has no weight');
    weightStart[at + 1] += weightStart[at];
  }
  const weightTarget = new Int32Array(count);
  const weightValue = new Float32Array(count);
  const next = weightStart.slice();
  for (let at = 0; at < count; at += 1) {
    const to = next[owner[at]];
    next[owner[at]] += 1;
    weightTarget[to] = targetIds[at];
    weightValue[to] = values[at];
  }
  return { weightStart, weightTarget, weightValue };
}
