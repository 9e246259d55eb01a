import { DenseStep } from './dense-step.ts';
import { ConstantStep } from './elementwise-step.ts';
import type { Constant, GraphNode } from './graph.ts';
import { attribute, type Plan, perColumn } from './plan.ts';
import { Unsupported } from './unsupported.ts';

/** What may stand behind a matrix product and is done in the same step. */
export interface Fused {
  /** Name of the value that the fused step makes. */
  readonly output: string;
  readonly bias: Constant | null;
  readonly relu: boolean;
}

/** Gemm: alpha A B + beta C, B and C constant, A not transposed. */
export function compileGemm(plan: Plan, node: GraphNode, fused: Fused): void {
  const alpha = attribute(node, 'alpha')?.float ?? 1;
  const beta = attribute(node, 'beta')?.float ?? 1;
  if ((attribute(node, 'transA')?.integer ?? 0) !== 0) throw new Unsupported('Gemm with transA');
  const transposed = (attribute(node, 'transB')?.integer ?? 0) !== 0;
  const bias = plan.constant(node, 2);
  if (bias !== null && fused.bias !== null) throw new Unsupported('Gemm with two biases');
  dense(plan, node, { alpha, transposed, bias, biasScale: beta, fused });
}

/** MatMul with a constant on the right. */
export function compileMatMul(plan: Plan, node: GraphNode, fused: Fused): void {
  dense(plan, node, { alpha: 1, transposed: false, bias: fused.bias, biasScale: 1, fused });
}

interface Product {
  readonly alpha: number;
  readonly transposed: boolean;
  readonly bias: Constant | null;
  readonly biasScale: number;
  readonly fused: Fused;
}

function dense(plan: Plan, node: GraphNode, product: Product): void {
  const from = plan.matrix(node, 0);
  const weights = plan.constant(node, 1);
  if (weights === null || weights.type !== 'float' || weights.dims.length !== 2) {
    throw new Unsupported(`${node.operator} without a constant float32 matrix`);
  }
  const { alpha, transposed, biasScale } = product;
  const [inputs, outputs] = transposed ? [...weights.dims].reverse() : weights.dims;
  if (inputs !== from.slot.width || outputs === 0) {
    throw new Unsupported(`${node.operator} of ${from.slot.width} columns with ${inputs} rows`);
  }
  plan.countMultiplyAdds(inputs * outputs);
  const bias =
    product.bias === null ? null : perColumn(product.bias, outputs, `${node.operator}'s bias`);
  const to = plan.define(product.fused.output, [outputs]);
  const weight = (input: number, output: number) =>
    alpha * weights.values[transposed ? output * inputs + input : input * outputs + output];
  const step = new DenseStep(from.slot, to.slot, {
    weight,
    bias: (output) => (bias === null ? 0 : biasScale * bias[output]),
    relu: product.fused.relu,
  });
  plan.steps.push(step);
}

const ARITHMETIC: Readonly<
  Record<
    string,
    { forward: (v: number, c: number) => number; backward: (v: number, c: number) => number }
  >
> = {
  Add: { forward: (v, c) => v + c, backward: (v, c) => c + v },
  Sub: { forward: (v, c) => v - c, backward: (v, c) => c - v },
  Mul: { forward: (v, c) => v * c, backward: (v, c) => c * v },
  Div: { forward: (v, c) => v / c, backward: (v, c) => c / v },
};

/** Add, Sub, Mul, Div with a constant on either side. */
export function compileArithmetic(plan: Plan, node: GraphNode): void {
  const constantFirst = plan.value(node.inputs[0] ?? '').kind === 'constant';
  const from = plan.matrix(node, constantFirst ? 1 : 0);
  const constant = plan.constant(node, constantFirst ? 0 : 1);
  if (constant === null || constant.type !== 'float') {
    throw new Unsupported(`${node.operator} without a float32 constant`);
  }
  const values = perColumn(constant, from.slot.width, node.operator);
  const to = plan.define(node.outputs[0], from.dims);
  const { forward, backward } = ARITHMETIC[node.operator];
  plan.steps.push(new ConstantStep(from.slot, to.slot, values, constantFirst ? backward : forward));
}

/** ai.onnx.ml Scaler: (x - offset) scale. */
export function compileScaler(plan: Plan, node: GraphNode): void {
  const from = plan.matrix(node, 0);
  const list = (name: string) => {
    const values = attribute(node, name)?.floats ?? new Float64Array(0);
    return perColumn({ type: 'float', dims: [values.length], values }, from.slot.width, 'Scaler');
  };
  const [offset, scale] = [list('offset'), list('scale')];
  const middle = plan.allocate(from.slot.width);
  const to = plan.define(node.outputs[0], from.dims);
  plan.steps.push(new ConstantStep(from.slot, middle, offset, (v, c) => v - c));
  plan.steps.push(new ConstantStep(middle, to.slot, scale, (v, c) => v * c));
}
