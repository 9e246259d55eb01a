import { ProtocolError } from '../error.ts';
import { ProtobufReader } from './protobuf.ts';

type Message =
  | 'model'
  | 'graph'
  | 'node'
  | 'attribute'
  | 'function'
  | 'training'
  | 'sparse'
  | 'tensor';

/** Where a tensor can hide in a model: field number to the message it holds (onnx/onnx.proto, IR 10). */
const PARTS: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  training: { 1: 'graph', 2: 'graph' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
};

/** Messages inside messages. A graph inside a graph takes three, so this is 20 nested branches. */
const MAX_DEPTH = 64;

/** `TensorProto.data_location` and its value EXTERNAL. */
const DATA_LOCATION = 14;
const EXTERNAL = 1;

/**
 * Does any tensor of a model keep its data in another file? Not only initializers can: ONNX Runtime follows the
 * path in a `Constant` node's attribute and in the branches of an `If` too, even for a model given as bytes.
 * Throws `ProtocolError` 'onnx' for bytes that are no protobuf and for graphs nested too deep.
 */
export function hasExternalData(model: Uint8Array): boolean {
  return search('model', new ProtobufReader(model), 0);
}

function search(message: Message, reader: ProtobufReader, depth: number): boolean {
  if (depth > MAX_DEPTH) {
    throw new ProtocolError('onnx', `the model nests messages more than ${MAX_DEPTH} deep`);
  }
  const parts = PARTS[message];
  // Every occurrence counts, the first as much as the last: protobuf merges a message that is given twice.
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (message === 'tensor' && tag.field === DATA_LOCATION && tag.wire === 0) {
      if (reader.varint() === EXTERNAL) return true;
      continue;
    }
    const part = tag.wire === 2 ? parts[tag.field] : undefined;
    if (part === undefined) reader.skip(tag.wire);
    else if (search(part, reader.message(), depth + 1)) return true;
  }
  return false;
}
