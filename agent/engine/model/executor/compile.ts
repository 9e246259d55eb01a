import { ProtocolError } from '../../../../protocol/error.ts';
import { readModelInfo } from '../../../../protocol/onnx/model-info.ts';
import { elementCount, showShape, type TensorSpec } from '../../../../protocol/tensor.ts';
import { CompiledModel } from './compiled-model.ts';
import {
  compileArithmetic,
  compileGemm,
  compileMatMul,
  compileScaler,
  type Fused,
} from './dense-operators.ts';
import { type Constant, type Graph, type GraphNode, readGraph } from './graph.ts';
import { attribute, Plan, requireInput } from './plan.ts';
import {
  compileActivation,
  compileCast,
  compileConcat,
  compileDropout,
  compileFlatten,
  compileIdentity,
  compileNormalizer,
  compileReshape,
  compileSoftmax,
} from './shape-operators.ts';
import { compileTreeClassifier, compileTreeRegressor } from './tree-operators.ts';
import { Unsupported } from './unsupported.ts';
import type { Value } from './value.ts';

/** Newest operator sets whose meaning is known here. ai.onnx.ml 4 and 5 describe trees in another way. */
const NEWEST_OPSET = new Map([
  ['', 24],
  ['ai.onnx', 24],
  ['ai.onnx.ml', 3],
]);

type Compile = (plan: Plan, node: GraphNode) => void;

const OPERATORS: ReadonlyMap<string, Compile> = new Map<string, Compile>([
  ['Add', compileArithmetic],
  ['Sub', compileArithmetic],
  ['Mul', compileArithmetic],
  ['Div', compileArithmetic],
  ['Relu', compileActivation],
  ['Sigmoid', compileActivation],
  ['Tanh', compileActivation],
  ['LeakyRelu', compileActivation],
  ['Softmax', compileSoftmax],
  ['Concat', compileConcat],
  ['Identity', compileIdentity],
  ['Dropout', compileDropout],
  ['Cast', compileCast],
  ['Flatten', compileFlatten],
  ['Reshape', compileReshape],
  ['Constant', compileConstant],
  ['ai.onnx.ml.TreeEnsembleClassifier', compileTreeClassifier],
  ['ai.onnx.ml.TreeEnsembleRegressor', compileTreeRegressor],
  ['ai.onnx.ml.Normalizer', compileNormalizer],
  ['ai.onnx.ml.Scaler', compileScaler],
]);

export type Compilation =
  | { readonly kind: 'compiled'; readonly model: CompiledModel }
  | { readonly kind: 'unsupported'; readonly reason: string };

/** Compiles a model for execution without ONNX Runtime, or says why it is not one of those that can be. */
export function compile(model: Uint8Array): Compilation {
  try {
    return { kind: 'compiled', model: build(model) };
  } catch (error) {
    if (error instanceof Unsupported || error instanceof ProtocolError) {
      return { kind: 'unsupported', reason: error.message };
    }
    throw error;
  }
}

/** The compiled model, or null for a graph that only ONNX Runtime executes. */
export function compileModel(model: Uint8Array): CompiledModel | null {
  const result = compile(model);
  return result.kind === 'compiled' ? result.model : null;
}

/** Why `compileModel` gives null; null where it does not. */
export function explain(model: Uint8Array): string | null {
  const result = compile(model);
  return result.kind === 'compiled' ? null : result.reason;
}

function build(bytes: Uint8Array): CompiledModel {
  const info = readModelInfo(bytes);
  for (const [domain, version] of info.opsets) {
    const newest = NEWEST_OPSET.get(domain);
    if (newest !== undefined && version > newest) {
      throw new Unsupported(`operator set ${domain || 'ai.onnx'} ${version}, newer than ${newest}`);
    }
  }
  const graph = readGraph(bytes);
  const plan = new Plan(countReaders(graph, info.outputs));
  for (const input of info.inputs) defineInput(plan, input);
  for (const [name, constant] of graph.constants) plan.name(name, { kind: 'constant', constant });
  compileNodes(plan, graph);
  const outputs = info.outputs.map((spec) => ({ spec, value: outputValue(plan, spec) }));
  const inputs = info.inputs.map((spec) => ({ spec, value: plan.value(spec.name) }));
  return new CompiledModel(plan, inputs, outputs);
}

function countReaders(graph: Graph, outputs: readonly TensorSpec[]): Map<string, number> {
  const readers = new Map<string, number>();
  const names = [...graph.nodes.flatMap((node) => node.inputs), ...outputs.map((o) => o.name)];
  for (const name of names) readers.set(name, (readers.get(name) ?? 0) + 1);
  return readers;
}

function defineInput(plan: Plan, { name, datatype, shape }: TensorSpec): void {
  const [, ...dims] = shape;
  if (dims.length === 0 || dims.some((dimension) => dimension < 1)) {
    throw new Unsupported(
      `input "${name}" of shape ${showShape(shape)}; only the rows may be free`,
    );
  }
  if (datatype === 'BYTES') throw new Unsupported(`input "${name}" is text`);
  plan.name(name, { kind: 'numbers', datatype, slot: plan.allocate(elementCount(dims)), dims });
}

function outputValue(
  plan: Plan,
  { name, datatype }: TensorSpec,
): Exclude<Value, { kind: 'constant' }> {
  const value = plan.value(name);
  if (value.kind === 'constant') throw new Unsupported(`output "${name}" is constant`);
  const labelled =
    value.kind === 'label' && typeof value.labels[0] === 'bigint' ? 'INT64' : 'BYTES';
  const made = value.kind === 'label' ? labelled : value.datatype;
  if (made !== datatype || (value.kind === 'numbers' && made !== 'FP32')) {
    throw new Unsupported(`output "${name}" is ${datatype} by its type, ${made} by its nodes`);
  }
  return value;
}

function compileNodes(plan: Plan, graph: Graph): void {
  for (let at = 0; at < graph.nodes.length; at += 1) {
    const node = graph.nodes[at];
    const operator = node.domain === '' ? node.operator : `${node.domain}.${node.operator}`;
    if (node.outputs.length === 0) throw new Unsupported(`${operator} without an output`);
    if (operator === 'Gemm' || operator === 'MatMul') {
      const { fused, nodes } = fuse(plan, graph.nodes, at);
      (operator === 'Gemm' ? compileGemm : compileMatMul)(plan, node, fused);
      at += nodes;
      continue;
    }
    const compileNode = OPERATORS.get(operator);
    if (compileNode === undefined) throw new Unsupported(`the operator ${operator}`);
    compileNode(plan, node);
  }
}

/** Takes in the Add (behind MatMul) and Relu that directly follow, where nobody else reads what is between. */
function fuse(
  plan: Plan,
  nodes: readonly GraphNode[],
  at: number,
): { fused: Fused; nodes: number } {
  let output = nodes[at].outputs[0];
  let bias: Constant | null = null;
  let taken = 0;
  const follower = () => {
    const next = nodes[at + taken + 1];
    const direct = next?.inputs.includes(output) && plan.readers.get(output) === 1;
    return direct && next.domain === '' ? next : null;
  };
  const add = follower();
  if (nodes[at].operator === 'MatMul' && add?.operator === 'Add') {
    const other = add.inputs[0] === output ? 1 : 0;
    const value = plan.value(requireInput(add, other));
    if (value.kind === 'constant' && value.constant.type === 'float') {
      bias = value.constant;
      output = add.outputs[0];
      taken += 1;
    }
  }
  const last = follower();
  const relu = last?.operator === 'Relu';
  if (relu) {
    output = last.outputs[0];
    taken += 1;
  }
  return { fused: { output, bias, relu }, nodes: taken };
}

function compileConstant(plan: Plan, node: GraphNode): void {
  const tensor = attribute(node, 'value')?.tensor;
  if (tensor === null || tensor === undefined) throw new Unsupported('a Constant without a tensor');
  plan.name(node.outputs[0], { kind: 'constant', constant: tensor });
}
