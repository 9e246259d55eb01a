import { elementCount } from '../../../../protocol/tensor.ts';
import {
  ConcatStep,
  MapStep,
  type Norm,
  NormalizerStep,
  relu,
  roundToFloat,
  SoftmaxStep,
  sigmoid,
} from './elementwise-step.ts';
import type { GraphNode } from './graph.ts';
import { attribute, type Plan, requireInput } from './plan.ts';
import { Unsupported } from './unsupported.ts';

const ONNX_FLOAT = 1;
const ONNX_INT64 = 7;
const CASTABLE = new Set(['FP32', 'FP64', 'INT32', 'INT64', 'INT16', 'INT8', 'UINT8', 'UINT16']);
/** ONNX's default slope of LeakyRelu. */
const LEAKY_ALPHA = Math.fround(0.01);

/** Relu, Sigmoid, Tanh, LeakyRelu. */
export function compileActivation(plan: Plan, node: GraphNode): void {
  const from = plan.floats(node, 0);
  const to = plan.define(node.outputs[0], from.dims);
  const alpha = attribute(node, 'alpha')?.float ?? LEAKY_ALPHA;
  const leaky = (value: number) => (value < 0 ? alpha * value : value);
  const functions: Readonly<Record<string, (value: number) => number>> = {
    Relu: relu,
    Sigmoid: sigmoid,
    Tanh: Math.tanh,
    LeakyRelu: leaky,
  };
  plan.steps.push(new MapStep(from.slot, to.slot, functions[node.operator]));
}

/** Softmax along the columns. */
export function compileSoftmax(plan: Plan, node: GraphNode): void {
  const from = plan.matrix(node, 0);
  const axis = attribute(node, 'axis')?.integer ?? -1;
  if (axis !== 1 && axis !== -1) throw new Unsupported(`Softmax along axis ${axis}`);
  const to = plan.define(node.outputs[0], from.dims);
  plan.steps.push(new SoftmaxStep(from.slot, to.slot));
}

export function compileNormalizer(plan: Plan, node: GraphNode): void {
  const from = plan.matrix(node, 0);
  const norm = attribute(node, 'norm')?.text ?? 'MAX';
  if (norm !== 'MAX' && norm !== 'L1' && norm !== 'L2') throw new Unsupported(`the norm ${norm}`);
  const to = plan.define(node.outputs[0], from.dims);
  plan.steps.push(new NormalizerStep(from.slot, to.slot, norm satisfies Norm));
}

/** Concat of columns. */
export function compileConcat(plan: Plan, node: GraphNode): void {
  const axis = attribute(node, 'axis')?.integer ?? 0;
  if (axis !== 1 && axis !== -1) throw new Unsupported(`Concat along axis ${axis}`);
  const from = node.inputs.map((_, position) => plan.matrix(node, position).slot);
  const to = plan.define(node.outputs[0], [from.reduce((sum, { width }) => sum + width, 0)]);
  plan.steps.push(new ConcatStep(from, to.slot));
}

/** A second name for the same value. */
export function compileIdentity(plan: Plan, node: GraphNode): void {
  plan.name(node.outputs[0], plan.value(requireInput(node, 0)));
}

/** Dropout does nothing in inference; training mode and the mask are refused. */
export function compileDropout(plan: Plan, node: GraphNode): void {
  const training = plan.constant(node, 2);
  if (training?.values.some((value) => value !== 0)) throw new Unsupported('Dropout in training');
  compileIdentity(plan, node);
}

/** Numbers to float32, or a label of int64 to int64. */
export function compileCast(plan: Plan, node: GraphNode): void {
  const value = plan.value(requireInput(node, 0));
  const to = attribute(node, 'to')?.integer ?? 0;
  if (value.kind === 'label') {
    if (to !== ONNX_INT64 || typeof value.labels[0] !== 'bigint') {
      throw new Unsupported(`Cast of a label to ONNX type ${to}`);
    }
    plan.name(node.outputs[0], value);
    return;
  }
  if (value.kind !== 'numbers' || to !== ONNX_FLOAT || !CASTABLE.has(value.datatype)) {
    throw new Unsupported(`Cast to ONNX type ${to}`);
  }
  if (value.datatype === 'FP32') {
    plan.name(node.outputs[0], value);
    return;
  }
  const floats = plan.define(node.outputs[0], value.dims);
  plan.steps.push(new MapStep(value.slot, floats.slot, roundToFloat));
}

/** Flatten of everything behind the rows. */
export function compileFlatten(plan: Plan, node: GraphNode): void {
  const value = plan.floats(node, 0);
  const axis = attribute(node, 'axis')?.integer ?? 1;
  if (axis !== 1) throw new Unsupported(`Flatten at axis ${axis}`);
  plan.name(node.outputs[0], { ...value, dims: [elementCount(value.dims)] });
}

/** Reshape to [rows, columns], where the rows stay what they are. */
export function compileReshape(plan: Plan, node: GraphNode): void {
  const value = plan.floats(node, 0);
  const shape = [...(plan.constant(node, 1)?.values ?? [])];
  const [rows, columns] = shape;
  const keeps =
    shape.length === 2 &&
    ((rows === -1 && columns === value.slot.width) ||
      (rows === 0 && (columns === -1 || columns === value.slot.width)));
  if (!keeps || (attribute(node, 'allowzero')?.integer ?? 0) !== 0) {
    throw new Unsupported(`Reshape to [${shape.join(',')}]`);
  }
  plan.name(node.outputs[0], { ...value, dims: [value.slot.width] });
}
