import {
  type Datatype,
  elementCount,
  showShape,
  type TensorSpec,
} from '../../../../protocol/tensor.ts';
import { AgentError } from '../../../error.ts';
import type { Tensor, TensorData } from '../runtime.ts';
import type { Plan } from './plan.ts';
import type { Step } from './step.ts';
import type { Value } from './value.ts';

interface Port<V extends Value> {
  readonly spec: TensorSpec;
  readonly value: V;
}
type OutputValue = Exclude<Value, { kind: 'constant' }>;

/**
 * A model as a list of steps over the registers of one row. Registers are reused between rows and calls, which is
 * sound because a run never yields; nothing is allocated per row but the outputs.
 */
export class CompiledModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Multiply-adds of one row; 0 for trees. */
  readonly multiplyAdds: number;
  /** Nodes of all trees; 0 without trees. */
  readonly treeNodes: number;
  readonly #steps: readonly Step[];
  readonly #registers: Float64Array;
  readonly #inputs: readonly Port<Value>[];
  readonly #outputs: readonly Port<OutputValue>[];

  constructor(plan: Plan, inputs: readonly Port<Value>[], outputs: readonly Port<OutputValue>[]) {
    this.inputs = inputs.map(({ spec }) => spec);
    this.outputs = outputs.map(({ spec }) => spec);
    this.multiplyAdds = plan.multiplyAdds;
    this.treeNodes = plan.treeNodes;
    this.#steps = plan.steps;
    this.#registers = new Float64Array(plan.registers);
    this.#inputs = inputs;
    this.#outputs = outputs;
  }

  /**
   * Runs every row of the inputs, all of which have the same first dimension. Throws `AgentError` 'engine' for
   * tensors that do not fit the model.
   */
  runSync(inputs: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    const given = this.#inputs.map(({ spec }) => requireFit(spec, inputs.get(spec.name)));
    if (inputs.size !== given.length) {
      throw new AgentError('engine', `${inputs.size} inputs given, the model has ${given.length}`);
    }
    const rows = given[0].shape[0];
    if (given.some(({ shape }) => shape[0] !== rows)) {
      throw new AgentError('engine', 'the inputs differ in their number of rows');
    }
    const made = this.#outputs.map(({ value }) => allocate(value, rows));
    const registers = this.#registers;
    const steps = this.#steps;
    for (let row = 0; row < rows; row += 1) {
      for (let i = 0; i < given.length; i += 1)
        load(given[i], this.#inputs[i].value, row, registers);
      for (let i = 0; i < steps.length; i += 1) steps[i].run(registers);
      for (let i = 0; i < made.length; i += 1)
        store(made[i], this.#outputs[i].value, row, registers);
    }
    const outputs = new Map<string, Tensor>();
    for (let i = 0; i < made.length; i += 1) outputs.set(this.#outputs[i].spec.name, made[i]);
    return outputs;
  }
}

function requireFit(spec: TensorSpec, tensor: Tensor | undefined): Tensor {
  if (tensor === undefined) throw new AgentError('engine', `the input "${spec.name}" is missing`);
  const { datatype, shape, data } = tensor;
  let fits = datatype === spec.datatype && shape.length === spec.shape.length;
  for (let i = 0; fits && i < shape.length; i += 1) {
    fits = spec.shape[i] === -1 || spec.shape[i] === shape[i];
  }
  if (!fits || elementCount(shape) !== data.length) {
    throw new AgentError(
      'engine',
      `input "${spec.name}" is ${datatype} ${showShape(shape)} with ${data.length} values, the model takes ${spec.datatype} ${showShape(spec.shape)}`,
    );
  }
  return tensor;
}

function load(tensor: Tensor, value: Value, row: number, registers: Float64Array): void {
  if (value.kind !== 'numbers') return;
  const { at, width } = value.slot;
  const data = tensor.data;
  const start = row * width;
  if (data instanceof Float32Array) {
    for (let i = 0; i < width; i += 1) registers[at + i] = data[start + i];
  } else for (let i = 0; i < width; i += 1) registers[at + i] = Number(data[start + i]);
}

function allocate(value: OutputValue, rows: number): Tensor {
  if (value.kind === 'numbers') {
    const data = new Float32Array(rows * value.slot.width);
    return { datatype: 'FP32', shape: [rows, ...value.dims], data };
  }
  const integers = typeof value.labels[0] === 'bigint';
  const datatype: Datatype = integers ? 'INT64' : 'BYTES';
  const data: TensorData = integers ? new BigInt64Array(rows) : new Array<string>(rows).fill('');
  return { datatype, shape: [rows], data };
}

function store(tensor: Tensor, value: OutputValue, row: number, registers: Float64Array): void {
  if (value.kind === 'label') {
    (tensor.data as (bigint | string)[])[row] = value.labels[registers[value.at]];
    return;
  }
  const data = tensor.data as Float32Array;
  const { at, width } = value.slot;
  const start = row * width;
  for (let i = 0; i < width; i += 1) data[start + i] = registers[at + i];
}
