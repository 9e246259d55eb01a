import { ProtocolError } from '../error.ts';
import { MAX_RANK, MAX_TENSORS } from '../limits.ts';
import { DATATYPE_OF_ONNX, type TensorSpec } from '../tensor.ts';
import { hasExternalData } from './external-data.ts';
import { ProtobufReader } from './protobuf.ts';

/** What an ONNX file says of itself, read without running it. Field numbers: onnx/onnx.proto (IR 10). */
export interface ModelInfo {
  irVersion: number;
  producer: string;
  /** Operator-set domain ('' is ai.onnx) to version. */
  opsets: ReadonlyMap<string, number>;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  nodeCount: number;
}

/** Domains whose operators ONNX Runtime's own build implements; all others would need a custom-op library. */
const KNOWN_DOMAINS = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.nchwc',
]);

/**
 * Reads inputs, outputs and operator sets of an ONNX model. Throws `ProtocolError` 'onnx' for bytes that
 * are no ONNX model, for external data and for operator domains that need a custom library.
 */
export function readModelInfo(bytes: Uint8Array): ModelInfo {
  const model = new ProtobufReader(bytes);
  const info: ModelInfo = {
    irVersion: 0,
    producer: '',
    opsets: new Map(),
    inputs: [],
    outputs: [],
    nodeCount: 0,
  };
  const opsets = new Map<string, number>();
  let graph: ProtobufReader | null = null;
  for (let tag = model.next(); tag !== null; tag = model.next()) {
    if (tag.field === 1 && tag.wire === 0) info.irVersion = model.varint();
    else if (tag.field === 2 && tag.wire === 2) info.producer = model.text();
    else if (tag.field === 7 && tag.wire === 2) {
      // Protobuf merges a message that is given twice: the runtime would see another graph than is read here.
      if (graph !== null)
        throw new ProtocolError('onnx', 'not a usable ONNX file: it has two graphs');
      graph = model.message();
    } else if (tag.field === 8 && tag.wire === 2) readOpset(model.message(), opsets);
    else model.skip(tag.wire);
  }
  info.opsets = opsets;
  if (graph === null || info.irVersion < 1) {
    throw new ProtocolError(
      'onnx',
      `not an ONNX file: ${bytes.length} bytes hold no ${graph === null ? 'graph' : 'IR version'}`,
    );
  }
  readGraph(graph, info);
  refuseForeign(info, hasExternalData(bytes));
  return info;
}

function refuseForeign(info: ModelInfo, externalData: boolean): void {
  for (const domain of info.opsets.keys()) {
    if (!KNOWN_DOMAINS.has(domain)) {
      throw new ProtocolError(
        'onnx',
        `operator domain "${domain}" needs a custom-op library, which no agent loads; export with ai.onnx operators`,
      );
    }
  }
  if (externalData) {
    throw new ProtocolError(
      'onnx',
      'the model keeps weights in a second file (external data); save it as one file before pushing it',
    );
  }
  if (info.outputs.length === 0) {
    throw new ProtocolError('onnx', 'not a usable ONNX file: its graph has no outputs');
  }
}

function readOpset(reader: ProtobufReader, into: Map<string, number>): void {
  let domain = '';
  let version = 0;
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 2) domain = reader.text();
    else if (tag.field === 2 && tag.wire === 0) version = reader.varint();
    else reader.skip(tag.wire);
  }
  into.set(domain, version);
}

function readGraph(graph: ProtobufReader, info: ModelInfo): void {
  const initializers = new Set<string>();
  const inputs: TensorSpec[] = [];
  for (let tag = graph.next(); tag !== null; tag = graph.next()) {
    if (tag.wire !== 2) graph.skip(tag.wire);
    else if (tag.field === 1) {
      graph.skip(2);
      info.nodeCount += 1;
    } else if (tag.field === 5) readInitializer(graph.message(), initializers);
    else if (tag.field === 11) inputs.push(readValueInfo(graph.message()));
    else if (tag.field === 12) info.outputs.push(readValueInfo(graph.message()));
    else graph.skip(2);
    if (inputs.length > MAX_TENSORS + initializers.size || info.outputs.length > MAX_TENSORS) {
      throw new ProtocolError('onnx', `the model has more than ${MAX_TENSORS} inputs or outputs`);
    }
  }
  // Before IR version 4 every initializer is listed as an input too; a caller never gives those.
  info.inputs = inputs.filter((input) => !initializers.has(input.name));
}

function readInitializer(reader: ProtobufReader, names: Set<string>): void {
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 8 && tag.wire === 2) names.add(reader.text());
    else reader.skip(tag.wire);
  }
}

function readValueInfo(reader: ProtobufReader): TensorSpec {
  let name = '';
  let spec: Omit<TensorSpec, 'name'> | null = null;
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 2) name = reader.text();
    else if (tag.field === 2 && tag.wire === 2) spec = readType(reader.message(), name);
    else reader.skip(tag.wire);
  }
  if (spec === null) throw new ProtocolError('onnx', `tensor "${name}" has no type`);
  return { name, ...spec };
}

function readType(reader: ProtobufReader, name: string): Omit<TensorSpec, 'name'> {
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 2) return readTensorType(reader.message(), name);
    reader.skip(tag.wire);
  }
  throw new ProtocolError(
    'onnx',
    `"${name}" is a sequence, map or optional; only tensors can be served (for scikit-learn: zipmap=False)`,
  );
}

function readTensorType(reader: ProtobufReader, name: string): Omit<TensorSpec, 'name'> {
  let element = 0;
  let shape: number[] = [];
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 0) element = reader.varint();
    else if (tag.field === 2 && tag.wire === 2) shape = readShape(reader.message(), name);
    else reader.skip(tag.wire);
  }
  const datatype = DATATYPE_OF_ONNX.get(element);
  if (datatype === undefined) {
    throw new ProtocolError(
      'onnx',
      `tensor "${name}" has ONNX type ${element}, which OIP cannot carry`,
    );
  }
  return { datatype, shape };
}

function readShape(reader: ProtobufReader, name: string): number[] {
  const shape: number[] = [];
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 2) shape.push(readDimension(reader.message()));
    else reader.skip(tag.wire);
  }
  if (shape.length > MAX_RANK) {
    throw new ProtocolError(
      'onnx',
      `tensor "${name}" has ${shape.length} dimensions, at most ${MAX_RANK}`,
    );
  }
  return shape;
}

/** A fixed dimension, or -1 for one that is symbolic or unknown. */
function readDimension(reader: ProtobufReader): number {
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.field === 1 && tag.wire === 0) return reader.varint();
    reader.skip(tag.wire);
  }
  return -1;
}
