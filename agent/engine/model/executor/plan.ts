import { elementCount } from '../../../../protocol/tensor.ts';
import type { Attribute, Constant, GraphNode } from './graph.ts';
import type { Slot, Step } from './step.ts';
import { Unsupported } from './unsupported.ts';
import type { NumbersValue, Value } from './value.ts';

/** Multiply-adds of one row; above this ONNX Runtime's vector kernels win by far. */
export const MAX_MULTIPLY_ADDS = 1_000_000;
/** Numbers of one row that are held at once, over all values (512 KiB). */
export const MAX_REGISTERS = 1 << 16;
/** Slots begin and end at multiples of this; see `DenseStep`. */
const SLOT_ALIGNMENT = 8;

/** What is known while nodes are compiled in their order: values by name, steps so far, registers used. */
export class Plan {
  readonly values = new Map<string, Value>();
  readonly steps: Step[] = [];
  /** How many nodes and outputs read a name: a value with one reader may be fused into it. */
  readonly readers: ReadonlyMap<string, number>;
  registers = 0;
  multiplyAdds = 0;
  treeNodes = 0;

  constructor(readers: ReadonlyMap<string, number>) {
    this.readers = readers;
  }

  allocate(width: number): Slot {
    const at = this.registers;
    this.registers += Math.ceil(width / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
    if (this.registers > MAX_REGISTERS) {
      throw new Unsupported(`a row needs more than ${MAX_REGISTERS} numbers`);
    }
    return { at, width };
  }

  /** Makes room for a float32 value and gives it its name. */
  define(name: string, dims: readonly number[]): NumbersValue {
    const slot = this.allocate(elementCount(dims));
    const value: NumbersValue = { kind: 'numbers', datatype: 'FP32', slot, dims };
    this.name(name, value);
    return value;
  }

  name(name: string, value: Value): void {
    if (name === '' || this.values.has(name)) {
      throw new Unsupported(`the value "${name}" is made twice or has no name`);
    }
    this.values.set(name, value);
  }

  value(name: string): Value {
    const value = this.values.get(name);
    if (value === undefined) throw new Unsupported(`the value "${name}" is used before it is made`);
    return value;
  }

  /** The float32 value that a node reads at `position`. */
  floats(node: GraphNode, position: number): NumbersValue {
    const value = this.value(requireInput(node, position));
    if (value.kind !== 'numbers' || value.datatype !== 'FP32') {
      throw new Unsupported(`${node.operator} of something that is not float32 rows`);
    }
    return value;
  }

  /** The same for a node that works on [rows, columns]. */
  matrix(node: GraphNode, position: number): NumbersValue {
    const value = this.floats(node, position);
    if (value.dims.length !== 1) {
      throw new Unsupported(`${node.operator} of rank ${value.dims.length + 1}`);
    }
    return value;
  }

  /** The constant that a node reads at `position`; null if the input is left out. */
  constant(node: GraphNode, position: number): Constant | null {
    const name = node.inputs[position] ?? '';
    if (name === '') return null;
    const value = this.value(name);
    if (value.kind !== 'constant') throw new Unsupported(`${node.operator} of a computed ${name}`);
    return value.constant;
  }

  countMultiplyAdds(count: number): void {
    this.multiplyAdds += count;
    if (this.multiplyAdds > MAX_MULTIPLY_ADDS) {
      throw new Unsupported(`a row needs more than ${MAX_MULTIPLY_ADDS} multiply-adds`);
    }
  }
}

export function requireInput(node: GraphNode, position: number): string {
  const name = node.inputs[position] ?? '';
  if (name === '') throw new Unsupported(`${node.operator} without its input ${position}`);
  return name;
}

export function attribute(node: GraphNode, name: string): Attribute | undefined {
  return node.attributes.get(name);
}

/** One value per column from a constant that broadcasts along a row; throws for one that differs between rows. */
export function perColumn(constant: Constant, width: number, operator: string): Float64Array {
  const columns = constant.dims.at(-1) ?? 1;
  const one = constant.values.length === 1;
  if (!one && (columns !== width || constant.values.length !== width)) {
    throw new Unsupported(`${operator} with a constant of shape [${constant.dims.join(',')}]`);
  }
  return one ? new Float64Array(width).fill(constant.values[0]) : constant.values;
}
