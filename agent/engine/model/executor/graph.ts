import { ProtobufReader } from '../../../../protocol/onnx/protobuf.ts';
import { elementCount } from '../../../../protocol/tensor.ts';
import { NumberList } from './number-list.ts';
import { Unsupported } from './unsupported.ts';

/** Nodes of a graph that is still worth executing here; exported tabular models have fewer than 50. */
export const MAX_NODES = 256;
/** Weights of one graph: 8 MiB as float64, more than fits a core's second-level cache. */
export const MAX_CONSTANT_ELEMENTS = 1 << 20;
/** Rank of a constant; weights have 2. */
const MAX_CONSTANT_RANK = 4;
const MAX_ATTRIBUTES = 64;
const MAX_EDGES = 64;

/** A constant of the graph. `values` are exact for every type that is read (float32, float64, int32, small int64). */
export interface Constant {
  readonly type: 'float' | 'double' | 'integer';
  readonly dims: readonly number[];
  readonly values: Float64Array;
}

/** An attribute; of the fields only those that its type uses are filled. */
export interface Attribute {
  readonly float: number;
  readonly integer: number;
  readonly text: string;
  readonly floats: Float64Array;
  readonly integers: Float64Array;
  readonly texts: readonly string[];
  readonly tensor: Constant | null;
}

export interface GraphNode {
  readonly domain: string;
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, Constant>;
}

/**
 * Reads nodes and initializers of an ONNX model (field numbers: onnx/onnx.proto, IR 10). Throws `Unsupported` past
 * the bounds above and for sub-graphs, functions and sparse tensors; `ProtocolError` for bytes that are no protobuf.
 */
export function readGraph(bytes: Uint8Array): Graph {
  const model = new ProtobufReader(bytes);
  const nodes: GraphNode[] = [];
  const constants = new Map<string, Constant>();
  for (let tag = model.next(); tag !== null; tag = model.next()) {
    if (tag.field === 7 && tag.wire === 2) readNodes(model.message(), nodes, constants);
    else if (tag.field === 25) throw new Unsupported('the model defines functions');
    else model.skip(tag.wire);
  }
  return { nodes, constants };
}

function readNodes(
  graph: ProtobufReader,
  nodes: GraphNode[],
  constants: Map<string, Constant>,
): void {
  let elements = 0;
  for (let tag = graph.next(); tag !== null; tag = graph.next()) {
    if (tag.field === 1 && tag.wire === 2) {
      if (nodes.length === MAX_NODES) throw new Unsupported(`more than ${MAX_NODES} nodes`);
      nodes.push(readNode(graph.message()));
    } else if (tag.field === 5 && tag.wire === 2) {
      const { name, constant } = readTensor(graph.message());
      elements += constant.values.length;
      if (elements > MAX_CONSTANT_ELEMENTS) {
        throw new Unsupported(`more than ${MAX_CONSTANT_ELEMENTS} weights`);
      }
      if (constants.has(name)) throw new Unsupported(`two initializers are named "${name}"`);
      constants.set(name, constant);
    } else if (tag.field === 15) throw new Unsupported('sparse initializers');
    else graph.skip(tag.wire);
  }
}

function readNode(reader: ProtobufReader): GraphNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  let operator = '';
  let domain = '';
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.wire !== 2) reader.skip(tag.wire);
    else if (tag.field === 1) inputs.push(reader.text());
    else if (tag.field === 2) outputs.push(reader.text());
    else if (tag.field === 4) operator = reader.text();
    else if (tag.field === 5) {
      const { name, attribute } = readAttribute(reader.message());
      if (attributes.has(name)) throw new Unsupported(`${operator} has attribute "${name}" twice`);
      attributes.set(name, attribute);
    } else if (tag.field === 7) domain = reader.text();
    else reader.skip(2);
    if (inputs.length > MAX_EDGES || outputs.length > MAX_EDGES) {
      throw new Unsupported(`a node with more than ${MAX_EDGES} inputs or outputs`);
    }
    if (attributes.size > MAX_ATTRIBUTES) {
      throw new Unsupported(`a node with more than ${MAX_ATTRIBUTES} attributes`);
    }
  }
  return { domain: domain === 'ai.onnx' ? '' : domain, operator, inputs, outputs, attributes };
}

function readAttribute(reader: ProtobufReader): { name: string; attribute: Attribute } {
  const floats = new NumberList();
  const integers = new NumberList();
  const texts: string[] = [];
  let name = '';
  let float = 0;
  let integer = 0;
  let text = '';
  let tensor: Constant | null = null;
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 2) name = reader.text();
    else if (tag.field === 2 && tag.wire === 5) float = reader.float32();
    else if (tag.field === 3 && tag.wire === 0) integer = reader.varint();
    else if (tag.field === 4 && tag.wire === 2) text = reader.text();
    else if (tag.field === 5 && tag.wire === 2) tensor = readTensor(reader.message()).constant;
    else if (tag.field === 7) floats.readFloats(reader, tag.wire);
    else if (tag.field === 8) integers.readIntegers(reader, tag.wire);
    else if (tag.field === 9 && tag.wire === 2) texts.push(readRepeated(reader, texts.at(-1)));
    else if (tag.field === 6 || tag.field === 11) throw new Unsupported('a node with a sub-graph');
    else reader.skip(tag.wire);
  }
  const lists = { floats: floats.toArray(), integers: integers.toArray(), texts };
  return { name, attribute: { float, integer, text, tensor, ...lists } };
}

/** Text that mostly repeats the one before (node modes: one string per tree node) is not decoded again. */
function readRepeated(reader: ProtobufReader, previous: string | undefined): string {
  const start = reader.at;
  const range = reader.message();
  if (previous !== undefined && previous.length === range.end - range.at) {
    let same = 0;
    while (
      same < previous.length &&
      range.bytes[range.at + same] === previous.charCodeAt(same) &&
      previous.charCodeAt(same) < 0x80
    ) {
      same += 1;
    }
    if (same === previous.length) return previous;
  }
  reader.at = start;
  return reader.text();
}

function readTensor(reader: ProtobufReader): { name: string; constant: Constant } {
  const dims = new NumberList();
  const listed = new NumberList();
  let name = '';
  let element = 0;
  let raw: ProtobufReader | null = null;
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1) dims.readIntegers(reader, tag.wire);
    else if (tag.field === 2 && tag.wire === 0) element = reader.varint();
    else if (tag.field === 4) listed.readFloats(reader, tag.wire);
    else if (tag.field === 5 || tag.field === 7) listed.readIntegers(reader, tag.wire);
    else if (tag.field === 8 && tag.wire === 2) name = reader.text();
    else if (tag.field === 9 && tag.wire === 2) raw = reader.message();
    else if (tag.field === 13 || tag.field === 3) {
      throw new Unsupported('a tensor in another file or in parts');
    } else reader.skip(tag.wire);
  }
  return { name, constant: toConstant(name, [...dims.toArray()], element, raw, listed) };
}

const TENSOR_TYPES: Readonly<Record<number, { type: Constant['type']; sizeBytes: number }>> = {
  1: { type: 'float', sizeBytes: 4 },
  6: { type: 'integer', sizeBytes: 4 },
  7: { type: 'integer', sizeBytes: 8 },
  11: { type: 'double', sizeBytes: 8 },
};

function toConstant(
  name: string,
  dims: readonly number[],
  element: number,
  raw: ProtobufReader | null,
  listed: NumberList,
): Constant {
  const known = TENSOR_TYPES[element];
  if (known === undefined) throw new Unsupported(`constant "${name}" has ONNX type ${element}`);
  const count = elementCount(dims);
  if (dims.length > MAX_CONSTANT_RANK || dims.some((dimension) => dimension < 0)) {
    throw new Unsupported(`constant "${name}" has the shape [${dims.join(',')}]`);
  }
  if (count > MAX_CONSTANT_ELEMENTS) {
    throw new Unsupported(
      `constant "${name}" has ${count} values, more than ${MAX_CONSTANT_ELEMENTS}`,
    );
  }
  const given = raw === null ? listed.length : (raw.end - raw.at) / known.sizeBytes;
  if (given !== count) {
    throw new Unsupported(
      `constant "${name}" has ${given} values for the shape [${dims.join(',')}]`,
    );
  }
  const values = raw === null ? listed.toArray() : readRaw(raw, element, count);
  return { type: known.type, dims, values };
}

function readRaw(raw: ProtobufReader, element: number, count: number): Float64Array {
  const view = new DataView(raw.bytes.buffer, raw.bytes.byteOffset + raw.at, raw.end - raw.at);
  const values = new Float64Array(count);
  for (let at = 0; at < count; at += 1) {
    if (element === 1) values[at] = view.getFloat32(4 * at, true);
    else if (element === 6) values[at] = view.getInt32(4 * at, true);
    else if (element === 7) values[at] = Number(view.getBigInt64(8 * at, true));
    else values[at] = view.getFloat64(8 * at, true);
  }
  return values;
}
