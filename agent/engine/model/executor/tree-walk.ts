import { LEAF, MODES, type TreeTable } from './tree-table.ts';

/** Bits of a packed node that hold where the words of its first child are; the feature is in the ones above. */
const PLACE_BITS = 22;
const PLACE_MASK = 2 ** PLACE_BITS - 1;
/** Features that fit beside the place. */
const MAX_PACKED_FEATURES = 2 ** (32 - PLACE_BITS);
/** Trees walked together: their loads overlap. */
const LANES = 4;
/** Deeper trees are walked one by one and stop at their leaf; the others all take the steps of the deepest. */
const MAX_JOINT_HEIGHT = 10;

const ALWAYS = 0x7fffffff;
const NEVER = -0x80000000;
const LEQ = MODES.indexOf('BRANCH_LEQ');
const LT = MODES.indexOf('BRANCH_LT');
const GTE = MODES.indexOf('BRANCH_GTE');
const GT = MODES.indexOf('BRANCH_GT');
const EQ = MODES.indexOf('BRANCH_EQ');

/** Finds, for one row, the leaf of each tree (a node of the table). */
export interface TreeWalk {
  /** Reads features from `registers[from]` on and writes one leaf per tree into `leaves`. */
  find(registers: Float64Array, from: number, leaves: Int32Array): void;
}

/** The fast walk where the trees allow it, else the one that follows the table as it is. */
export function createWalk(table: TreeTable, features: number): TreeWalk {
  const ordered = table.mode.every((mode) => mode <= GT || mode === LEAF);
  const plain = new PlainWalk(table);
  if (!ordered || table.shared || features > MAX_PACKED_FEATURES) return plain;
  return new PackedWalk(table, features, plain);
}

/** Follows the table node by node: any mode, any NaN. */
class PlainWalk implements TreeWalk {
  readonly #table: TreeTable;

  constructor(table: TreeTable) {
    this.#table = table;
  }

  find(registers: Float64Array, from: number, leaves: Int32Array): void {
    const { roots, feature, threshold, mode, missingTrue, whenTrue, whenFalse } = this.#table;
    for (let tree = 0; tree < roots.length; tree += 1) {
      let at = roots[tree];
      while (mode[at] !== LEAF) {
        const value = registers[from + feature[at]];
        const holds =
          compare(value, threshold[at], mode[at]) || (missingTrue[at] === 1 && Number.isNaN(value));
        at = holds ? whenTrue[at] : whenFalse[at];
      }
      leaves[tree] = at;
    }
  }
}

function compare(value: number, threshold: number, mode: number): boolean {
  if (mode === LEQ) return value <= threshold;
  if (mode === LT) return value < threshold;
  if (mode === GTE) return value >= threshold;
  if (mode === GT) return value > threshold;
  return mode === EQ ? value === threshold : value !== threshold;
}

/**
 * Branch-free walk over nodes of two words, [key, feature << 22 | first child]. Float32 values become integers of
 * the same order, every mode becomes "key of the value <= key of the node", children lie side by side, so a step is
 * `child + 2 (value > node)`: half of all branches would be mispredicted, at 15 cycles each. Rows with a NaN, which
 * has no place in that order, take the plain walk.
 */
class PackedWalk implements TreeWalk {
  readonly #plain: PlainWalk;
  readonly #words: Int32Array;
  readonly #roots: Int32Array;
  /** Steps that each group of `LANES` trees takes together; -1 where its trees are walked one by one. */
  readonly #steps: Int32Array;
  /** The table's node of each pair of words. */
  readonly #origin: Int32Array;
  readonly #floats: Float32Array;
  readonly #keys: Int32Array;

  constructor(table: TreeTable, features: number, plain: PlainWalk) {
    this.#plain = plain;
    this.#floats = new Float32Array(features);
    this.#keys = new Int32Array(this.#floats.buffer);
    const packed = pack(table);
    this.#words = packed.words;
    this.#roots = packed.roots;
    this.#origin = packed.origin;
    this.#steps = jointSteps(table);
  }

  find(registers: Float64Array, from: number, leaves: Int32Array): void {
    if (!this.#order(registers, from)) {
      this.#plain.find(registers, from, leaves);
      return;
    }
    const count = this.#roots.length;
    const groups = this.#steps;
    let tree = 0;
    for (let group = 0; group < groups.length; group += 1) {
      const steps = groups[group];
      if (steps >= 0) this.#walkFour(tree, steps, leaves);
      else for (let lane = 0; lane < LANES; lane += 1) this.#walkOne(tree + lane, leaves);
      tree += LANES;
    }
    for (; tree < count; tree += 1) this.#walkOne(tree, leaves);
  }

  /** Turns the row into keys, in place; false if it has a NaN. */
  #order(registers: Float64Array, from: number): boolean {
    const floats = this.#floats;
    const keys = this.#keys;
    for (let i = 0; i < keys.length; i += 1) {
      const value = registers[from + i];
      if (Number.isNaN(value)) return false;
      // Adding 0 turns -0 into 0: they are equal, so they must have one key.
      floats[i] = value + 0;
      const bits = keys[i];
      keys[i] = bits ^ ((bits >> 31) & 0x7fffffff);
    }
    return true;
  }

  #walkOne(tree: number, leaves: Int32Array): void {
    const words = this.#words;
    const keys = this.#keys;
    let at = this.#roots[tree];
    for (;;) {
      const word = words[at + 1];
      const next = (word & PLACE_MASK) + above(keys[word >>> PLACE_BITS], words[at]);
      if (next === at) break;
      at = next;
    }
    leaves[tree] = this.#origin[at >> 1];
  }

  #walkFour(tree: number, steps: number, leaves: Int32Array): void {
    const words = this.#words;
    const keys = this.#keys;
    const roots = this.#roots;
    let a = roots[tree];
    let b = roots[tree + 1];
    let c = roots[tree + 2];
    let d = roots[tree + 3];
    for (let step = 0; step < steps; step += 1) {
      const wordA = words[a + 1];
      const wordB = words[b + 1];
      const wordC = words[c + 1];
      const wordD = words[d + 1];
      // `| 0` tells V8 that the sum is an int32, which spares the check for overflow.
      a = ((wordA & PLACE_MASK) + above(keys[wordA >>> PLACE_BITS], words[a])) | 0;
      b = ((wordB & PLACE_MASK) + above(keys[wordB >>> PLACE_BITS], words[b])) | 0;
      c = ((wordC & PLACE_MASK) + above(keys[wordC >>> PLACE_BITS], words[c])) | 0;
      d = ((wordD & PLACE_MASK) + above(keys[wordD >>> PLACE_BITS], words[d])) | 0;
    }
    const origin = this.#origin;
    leaves[tree] = origin[a >> 1];
    leaves[tree + 1] = origin[b >> 1];
    leaves[tree + 2] = origin[c >> 1];
    leaves[tree + 3] = origin[d >> 1];
  }
}

/** 2 (the words of a node) if value > node, else 0, without a branch (Hacker's Delight, 2-12: signed x < y). */
function above(value: number, node: number): number {
  return (((node & ~value) | (~(node ^ value) & (node - value))) >>> 30) & 2;
}

function jointSteps(table: TreeTable): Int32Array {
  const groups = Math.floor(table.roots.length / LANES);
  return Int32Array.from({ length: groups }, (_, group) => {
    const roots = table.roots.subarray(group * LANES, (group + 1) * LANES);
    const height = Math.max(...roots.map((root) => table.height[root]));
    return height <= MAX_JOINT_HEIGHT ? height : -1;
  });
}

/** Trees one after the other, each breadth first, so that the levels that every row visits share cache lines. */
function pack(table: TreeTable): { words: Int32Array; roots: Int32Array; origin: Int32Array } {
  const words = new Int32Array(2 * table.mode.length);
  const origin = new Int32Array(table.mode.length);
  let used = 0;
  const roots = table.roots.map((root) => {
    const first = used;
    origin[first] = root;
    used += 1;
    for (let at = first; at < used; at += 1) {
      const node = origin[at];
      if (table.mode[node] === LEAF) {
        // A leaf leads to itself, so a shallow tree may go on stepping.
        words[2 * at] = ALWAYS;
        words[2 * at + 1] = 2 * at;
        continue;
      }
      const upwards = table.mode[node] === GTE || table.mode[node] === GT;
      words[2 * at] = nodeKey(table.threshold[node], table.mode[node]);
      words[2 * at + 1] = (table.feature[node] << PLACE_BITS) | (2 * used);
      origin[used] = upwards ? table.whenFalse[node] : table.whenTrue[node];
      origin[used + 1] = upwards ? table.whenTrue[node] : table.whenFalse[node];
      used += 2;
    }
    return 2 * first;
  });
  return { words, roots, origin };
}

const KEY_FLOAT = new Float32Array(1);
const KEY_BITS = new Int32Array(KEY_FLOAT.buffer);

/** The largest key of a value that goes to the first child. "Less than t" is "at most the number below t". */
function nodeKey(threshold: number, mode: number): number {
  if (Number.isNaN(threshold)) return mode === GTE || mode === GT ? ALWAYS : NEVER;
  KEY_FLOAT[0] = threshold + 0;
  const key = KEY_BITS[0] ^ ((KEY_BITS[0] >> 31) & 0x7fffffff);
  return mode === LT || mode === GTE ? key - 1 : key;
}
