import type { Manifest } from '../../../../protocol/manifest.ts';
import { elementCount, showShape, type TensorSpec } from '../../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../../model/runtime.ts';
import { showValue, TensorValueError } from '../../model/tensor-data.ts';
import type { InferRequest } from '../infer-request.ts';
import { parseShape } from '../json-tensor.ts';
import { OipError } from '../oip-error.ts';
import { ALL_AS_BINARY, ALL_AS_JSON, type OutputSelection } from '../output-selection.ts';
import { type RequestOptions, requestOptions } from '../request-options.ts';
import { dataFromBytes, elementBytes } from '../tensor-bytes.ts';
import type { InferMessage, InputMessage, OutputMessage } from './infer-message.ts';
import { readContents } from './typed-contents.ts';

/**
 * A request message against what the model takes. Its tensors lie in `raw_input_contents`, one for each input and in
 * their order, or typed in each input's `contents`, never both. Binary in its output selection means raw: an answer
 * has the form of its request. Throws `OipError` 'bad_request'.
 */
export function toInferRequest(message: InferMessage, manifest: Manifest): InferRequest {
  const { raw, id } = message;
  if (raw.length > 0) checkRaw(message);
  const inputs = new Map<string, Tensor>();
  for (const [at, input] of message.inputs.entries()) {
    const spec = specOf(input, manifest);
    if (inputs.has(spec.name)) throw bad(`input "${spec.name}" is given twice`);
    inputs.set(spec.name, readTensor(input, spec, raw.length > 0 ? raw[at] : null));
  }
  if (inputs.size < manifest.inputs.length) throw missing(manifest, inputs);
  const selection = selectOutputs(message.outputs, manifest, raw.length > 0);
  const { parameters } = message;
  const options = optionsOf(message);
  return { id: id === '' ? null : id, inputs, outputs: selection, options, parameters };
}

function checkRaw({ raw, inputs }: InferMessage): void {
  if (raw.length !== inputs.length) {
    throw bad(`raw_input_contents has ${raw.length} entries for ${inputs.length} inputs`);
  }
  const typed = inputs.find((input) => input.contents.length > 0);
  if (typed === undefined) return;
  throw bad(
    `input ${showValue(typed.name)} has contents beside raw_input_contents; a message uses one of the two for all inputs`,
  );
}

function specOf(input: InputMessage, manifest: Manifest): TensorSpec {
  const spec = manifest.inputs.find((candidate) => candidate.name === input.name);
  if (spec === undefined) {
    const known = manifest.inputs.map((candidate) => `"${candidate.name}"`).join(', ');
    throw bad(`unknown input ${showValue(input.name)}; this model takes ${known}`);
  }
  if (input.datatype !== spec.datatype) {
    throw bad(
      `input "${spec.name}" has datatype ${showValue(input.datatype)}; the model takes ${spec.datatype}`,
    );
  }
  if (input.parameters.has('shared_memory_region')) {
    throw bad(`input "${spec.name}" lies in shared memory, which is not supported; send it raw`);
  }
  return spec;
}

function readTensor(input: InputMessage, spec: TensorSpec, raw: Buffer | null): Tensor {
  const { datatype } = spec;
  const shape = parseShape(input.shape, spec);
  const count = elementCount(shape);
  const what = `input "${spec.name}"`;
  try {
    const data: TensorData =
      raw === null
        ? readContents(datatype, count, input.contents, what)
        : readRaw(spec, shape, count, raw, what);
    return { datatype, shape, data };
  } catch (cause) {
    if (cause instanceof TensorValueError) throw bad(cause.message);
    throw cause;
  }
}

function readRaw(
  { datatype }: TensorSpec,
  shape: readonly number[],
  count: number,
  raw: Buffer,
  what: string,
): TensorData {
  const each = elementBytes(datatype);
  if (each !== null && raw.length !== count * each) {
    throw bad(
      `raw_input_contents of ${what} has ${raw.length} bytes; ${datatype}${showShape(shape)} has ${count * each}`,
    );
  }
  return dataFromBytes(datatype, count, raw, what);
}

function missing(manifest: Manifest, inputs: ReadonlyMap<string, Tensor>): OipError {
  const names = manifest.inputs
    .filter((spec) => !inputs.has(spec.name))
    .map((spec) => `"${spec.name}" ${spec.datatype}${showShape(spec.shape)}`);
  return bad(`input ${names.join(', ')} is missing`);
}

/** Asks that would be ignored without a word otherwise: the answer would lack what the client relies on. */
const UNSUPPORTED = ['classification', 'shared_memory_region'];

function selectOutputs(
  outputs: readonly OutputMessage[],
  manifest: Manifest,
  raw: boolean,
): OutputSelection {
  if (outputs.length === 0) return raw ? ALL_AS_BINARY : ALL_AS_JSON;
  const named = new Map<string, boolean>();
  for (const { name, parameters } of outputs) {
    if (!manifest.outputs.some((spec) => spec.name === name)) {
      const known = manifest.outputs.map((spec) => `"${spec.name}"`).join(', ');
      throw bad(`unknown output ${showValue(name)}; this model gives ${known}`);
    }
    for (const parameter of UNSUPPORTED) {
      const value = parameters.get(parameter);
      if (value !== undefined && value !== 0n) {
        throw bad(`output "${name}" asks for "${parameter}", which is not supported`);
      }
    }
    named.set(name, raw);
  }
  return { named, binary: raw };
}

function optionsOf({ parameters }: InferMessage): RequestOptions {
  return requestOptions(parameters.get('timeout'), parameters.get('priority'));
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
