import { MAX_RANK, MAX_TENSORS } from '../../../../protocol/limits.ts';
import { NO_PARAMETERS, type Parameters, readParameter } from './infer-parameter.ts';
import { BLOCK, ProtoReader, VARINT } from './proto-reader.ts';

export interface InputMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: Parameters;
  /** Its typed `contents`: usually one block; a message that comes twice is merged, which is their concatenation. */
  readonly contents: readonly Buffer[];
}

export interface OutputMessage {
  readonly name: string;
  readonly parameters: Parameters;
}

/** `inference.ModelInferRequest`, with the tensors' bytes where they lie. */
export interface InferMessage {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InputMessage[];
  readonly outputs: readonly OutputMessage[];
  readonly raw: readonly Buffer[];
}

const NAME = 1 * 8 + BLOCK;
const VERSION = 2 * 8 + BLOCK;
const ID = 3 * 8 + BLOCK;
const PARAMETERS = 4 * 8 + BLOCK;
const INPUTS = 5 * 8 + BLOCK;
const OUTPUTS = 6 * 8 + BLOCK;
const RAW = 7 * 8 + BLOCK;

/** Throws `OipError` 'bad_request' for what is no such message. */
export function readInferMessage(bytes: Buffer): InferMessage {
  const reader = new ProtoReader(bytes, 'ModelInferRequest');
  let modelName = '';
  let modelVersion = '';
  let id = '';
  let parameters = NO_PARAMETERS;
  let entries = 0;
  const inputs: InputMessage[] = [];
  const outputs: OutputMessage[] = [];
  const raw: Buffer[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === NAME) modelName = reader.text();
    else if (tag === VERSION) modelVersion = reader.text();
    else if (tag === ID) id = reader.text();
    else if (tag === PARAMETERS) {
      parameters = readParameter(parameters, reader.block(), entries);
      entries += 1;
    } else if (tag === INPUTS) add(inputs, readInput(reader.block()), reader, 'inputs');
    else if (tag === OUTPUTS) add(outputs, readOutput(reader.block()), reader, 'outputs');
    else if (tag === RAW) add(raw, reader.block(), reader, 'raw_input_contents');
    else reader.skip(tag);
  }
  return { modelName, modelVersion, id, parameters, inputs, outputs, raw };
}

/** A model has at most `MAX_TENSORS` on either side: more are a mistake, and their names would be memory. */
function add<T>(list: T[], item: T, reader: ProtoReader, name: string): void {
  if (list.length === MAX_TENSORS) throw reader.broken(`more than ${MAX_TENSORS} ${name}`);
  list.push(item);
}

const DATATYPE = 2 * 8 + BLOCK;
const SHAPE = 3 * 8 + VARINT;
const SHAPE_PACKED = 3 * 8 + BLOCK;
const INPUT_PARAMETERS = 4 * 8 + BLOCK;
const CONTENTS = 5 * 8 + BLOCK;
/** Blocks of one input's contents that are merged; every encoder writes one. */
const MAX_CONTENTS = 16;

function readInput(bytes: Buffer): InputMessage {
  const reader = new ProtoReader(bytes, 'InferInputTensor');
  let name = '';
  let datatype = '';
  let parameters = NO_PARAMETERS;
  let entries = 0;
  const shape: number[] = [];
  const contents: Buffer[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === NAME) name = reader.text();
    else if (tag === DATATYPE) datatype = reader.text();
    else if (tag === SHAPE_PACKED) readShape(reader.block(), shape);
    else if (tag === SHAPE) addDimension(shape, reader);
    else if (tag === INPUT_PARAMETERS) {
      parameters = readParameter(parameters, reader.block(), entries);
      entries += 1;
    } else if (tag === CONTENTS) {
      if (contents.length === MAX_CONTENTS) throw reader.broken('too many contents');
      contents.push(reader.block());
    } else reader.skip(tag);
  }
  return { name, datatype, shape, parameters, contents };
}

function readShape(bytes: Buffer, shape: number[]): void {
  const reader = new ProtoReader(bytes, 'InferInputTensor.shape');
  while (reader.at < bytes.length) addDimension(shape, reader);
}

function addDimension(shape: number[], reader: ProtoReader): void {
  // One more than a tensor may have is kept, so that the check of the shape can name what is wrong.
  if (shape.length > MAX_RANK) throw reader.broken(`more than ${MAX_RANK} dimensions`);
  shape.push(reader.int64());
}

function readOutput(bytes: Buffer): OutputMessage {
  const reader = new ProtoReader(bytes, 'InferRequestedOutputTensor');
  let name = '';
  let parameters = NO_PARAMETERS;
  let entries = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === NAME) name = reader.text();
    else if (tag === VERSION) {
      parameters = readParameter(parameters, reader.block(), entries);
      entries += 1;
    } else reader.skip(tag);
  }
  return { name, parameters };
}
