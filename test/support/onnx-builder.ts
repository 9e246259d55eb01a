import { DATATYPE_OF_ONNX, type Datatype, type TensorSpec } from '../../protocol/tensor.ts';

/** `ModelProto` of models small enough to write by hand: field numbers from onnx/onnx.proto (IR 8, operator set 17). */

type Bytes = readonly number[];

const ONNX_TYPE: ReadonlyMap<Datatype, number> = new Map(
  [...DATATYPE_OF_ONNX].map(([number, datatype]) => [datatype, number]),
);
const IR_VERSION = 8;
const OPSET = 17;

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Integer attributes by name. */
  readonly attributes?: Readonly<Record<string, number>>;
}

export interface ModelSpec {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly nodes: readonly NodeSpec[];
}

/** The bytes of an ONNX model. A dimension of -1 becomes a symbolic one with a name of its own. */
export function buildModel(model: ModelSpec): Uint8Array {
  const graph = [
    ...model.nodes.flatMap((node) => block(1, nodeProto(node))),
    ...block(2, 'graph'),
    ...model.inputs.flatMap((tensor) => block(11, valueInfo(tensor))),
    ...model.outputs.flatMap((tensor) => block(12, valueInfo(tensor))),
  ];
  const opset = [...block(1, ''), ...int(2, OPSET)];
  return Uint8Array.from([...int(1, IR_VERSION), ...block(7, graph), ...block(8, opset)]);
}

/** A model that gives each input back as an output named `{input}_out`. */
export function identityModel(inputs: readonly TensorSpec[]): ModelSpec {
  return {
    inputs,
    outputs: inputs.map((input) => ({ ...input, name: `${input.name}_out` })),
    nodes: inputs.map(({ name }) => ({
      op: 'Identity',
      inputs: [name],
      outputs: [`${name}_out`],
    })),
  };
}

function nodeProto({ op, inputs, outputs, attributes = {} }: NodeSpec): Bytes {
  return [
    ...inputs.flatMap((name) => block(1, name)),
    ...outputs.flatMap((name) => block(2, name)),
    ...block(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) =>
      block(5, [...block(1, name), ...int(3, value), ...int(20, 2)]),
    ),
  ];
}

function valueInfo({ name, datatype, shape }: TensorSpec): Bytes {
  const element = ONNX_TYPE.get(datatype);
  if (element === undefined) throw new TypeError(`${datatype} has no ONNX type`);
  const dimensions = shape.flatMap((size, at) =>
    block(1, size === -1 ? block(2, `${name}_${at}`) : int(1, size)),
  );
  return [...block(1, name), ...block(2, block(1, [...int(1, element), ...block(2, dimensions)]))];
}

/** A varint field. */
function int(field: number, value: number): Bytes {
  return [...varint(field * 8), ...varint(value)];
}

/** A length-delimited field: a message or a string. */
function block(field: number, content: Bytes | string): Bytes {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : content;
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

function varint(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}
