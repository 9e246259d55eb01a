import type { GraphNode } from './graph.ts';
import { attribute, type Plan } from './plan.ts';
import { finishBinary, finishClasses, finishRegressor } from './tree-finish.ts';
import { type Aggregate, type PostTransform, TreeStep } from './tree-step.ts';
import { readTreeTable } from './tree-table.ts';
import { createWalk } from './tree-walk.ts';
import { Unsupported } from './unsupported.ts';

/** Classes or targets of one ensemble. */
export const MAX_TARGETS = 1024;

export function compileTreeRegressor(plan: Plan, node: GraphNode): void {
  const from = plan.matrix(node, 0);
  const targets = attribute(node, 'n_targets')?.integer ?? 0;
  if (targets < 1 || targets > MAX_TARGETS) throw new Unsupported(`${targets} tree targets`);
  const table = readTreeTable(node, 'target', targets, from.slot.width);
  const aggregate = readAggregate(node);
  const base = readBase(node);
  if (base.length !== 0 && base.length !== targets) {
    throw new Unsupported(`${base.length} base values for ${targets} targets`);
  }
  const to = plan.define(node.outputs[0], [targets]);
  const finish = finishRegressor(base, readTransform(node), to.slot.at);
  const walk = createWalk(table, from.slot.width);
  plan.treeNodes += table.mode.length;
  plan.steps.push(new TreeStep(table, walk, from.slot, targets, aggregate, finish));
}

export function compileTreeClassifier(plan: Plan, node: GraphNode): void {
  const from = plan.matrix(node, 0);
  const labels = readLabels(node);
  const classes = labels.length;
  const table = readTreeTable(node, 'class', classes, from.slot.width);
  const base = readBase(node);
  const single = table.weightTarget.every((target) => target === table.weightTarget[0]);
  // One base value for two classes has a meaning only where one class gets all votes.
  const fits = base.length === classes || (classes === 2 && base.length === 1 && single);
  if (base.length !== 0 && !fits) {
    throw new Unsupported(`${base.length} base values for ${classes} classes`);
  }
  const how = readTransform(node);
  const at = plan.allocate(1).at;
  const to = plan.define(node.outputs[1] || `${node.outputs[0]}/scores`, [classes]).slot.at;
  const rules = { base, how, single, positive: table.weightValue.every((value) => !(value < 0)) };
  const finish =
    classes === 2
      ? finishBinary(rules, { to, label: at })
      : finishClasses(base, how, { to, label: at });
  if (node.outputs[0]) plan.name(node.outputs[0], { kind: 'label', at, labels });
  plan.treeNodes += table.mode.length;
  const walk = createWalk(table, from.slot.width);
  plan.steps.push(new TreeStep(table, walk, from.slot, classes, 'SUM', finish));
}

function readLabels(node: GraphNode): readonly bigint[] | readonly string[] {
  const texts = attribute(node, 'classlabels_strings')?.texts ?? [];
  const integers = [...(attribute(node, 'classlabels_int64s')?.integers ?? [])];
  const count = texts.length > 0 ? texts.length : integers.length;
  if (count < 2 || count > MAX_TARGETS || (texts.length > 0 && integers.length > 0)) {
    throw new Unsupported(`a tree classifier of ${count} classes`);
  }
  if (texts.length > 0) return texts;
  if (!integers.every(Number.isSafeInteger)) throw new Unsupported('class labels beyond 2^53');
  return integers.map(BigInt);
}

function readBase(node: GraphNode): Float32Array {
  if (node.attributes.has('base_values_as_tensor')) throw new Unsupported('base values in float64');
  return Float32Array.from(attribute(node, 'base_values')?.floats ?? []);
}

function readAggregate(node: GraphNode): Aggregate {
  const name = attribute(node, 'aggregate_function')?.text ?? 'SUM';
  if (name === 'SUM' || name === 'AVERAGE' || name === 'MIN' || name === 'MAX') return name;
  throw new Unsupported(`trees aggregated by ${name}`);
}

function readTransform(node: GraphNode): PostTransform {
  const name = attribute(node, 'post_transform')?.text ?? 'NONE';
  if (name === 'NONE' || name === 'LOGISTIC' || name === 'SOFTMAX' || name === 'SOFTMAX_ZERO') {
    return name;
  }
  throw new Unsupported(`post_transform ${name}`);
}
