import { isUtf8 } from 'node:buffer';
import { MAX_JSON_DEPTH } from '../../../protocol/limits.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { elementCount, showShape, type TensorSpec } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';
import { showValue, TensorValueError, toTensorData } from '../model/tensor-data.ts';
import { nestsDeeperThan } from './json-depth.ts';
import { JsonScalars } from './json-scalars.ts';
import { flatten, parseShape } from './json-tensor.ts';
import { type LiftedNumbers, liftData } from './lifted-data.ts';
import { OipError } from './oip-error.ts';
import { ALL_AS_JSON, type OutputSelection, parseOutputs } from './output-selection.ts';
import { DEFAULT_OPTIONS, type RequestOptions, requestOptions } from './request-options.ts';
import type { RequestParameters } from './request-parameters.ts';
import { elementBytes } from './tensor-bytes.ts';

/** An input as the JSON part of a request gives it: whole, or promised in the bytes that follow. */
export type HeaderInput =
  | { readonly kind: 'given'; readonly name: string; readonly tensor: Tensor }
  | {
      readonly kind: 'binary';
      readonly spec: TensorSpec;
      readonly shape: readonly number[];
      readonly count: number;
      readonly sizeBytes: number;
    };

export interface InferHeader {
  readonly id: string | null;
  readonly inputs: readonly HeaderInput[];
  readonly outputs: OutputSelection;
  readonly options: RequestOptions;
  readonly parameters?: RequestParameters | null;
}

const INPUT_SOURCES = ['data', 'parameters.binary_data_size', 'parameters.shared_memory_region'];

/**
 * Parses the JSON of an OIP v2 inference request against what the model takes. Hand-written rather than by schema:
 * it is on the path of every request, and its errors name the tensor, the value and the bound.
 * Throws `OipError` 'bad_request'.
 */
export function parseInferHeader(json: Buffer, manifest: Manifest): InferHeader {
  const lifted = liftData(json, manifest);
  const { id, inputs, outputs, parameters } =
    lifted === null ? parseJson(json) : parseRest(lifted.json, json);
  // Clients that dump their objects whole send null for what is not set.
  if (id !== undefined && id !== null && typeof id !== 'string') {
    throw bad(`"id" must be a string, got ${typeof id}`);
  }
  if (!Array.isArray(inputs)) throw bad('"inputs" must be an array of tensors');
  const exact = new JsonScalars(json);
  const parsed: HeaderInput[] = [];
  for (let at = 0; at < inputs.length; at += 1) {
    const numbers = lifted?.numbers.get(at) ?? null;
    const input = parseInput(inputs[at], manifest, numbers, () => exact.ofInput(at));
    const name = nameOf(input);
    if (parsed.some((other) => nameOf(other) === name)) throw bad(`input "${name}" is given twice`);
    parsed.push(input);
  }
  for (const spec of manifest.inputs) {
    if (!parsed.some((input) => nameOf(input) === spec.name)) {
      throw bad(`input "${spec.name}" ${spec.datatype}${showShape(spec.shape)} is missing`);
    }
  }
  const selection =
    outputs === undefined && parameters === undefined
      ? ALL_AS_JSON
      : parseOutputs(outputs, parameters, manifest);
  // `parseOutputs` has found them to be an object, or null.
  const asked = typeof parameters === 'object' ? parameters : null;
  const options = asked === null ? DEFAULT_OPTIONS : optionsOf(asked);
  return { id: id ?? null, inputs: parsed, outputs: selection, options, parameters: asked };
}

function optionsOf(parameters: RequestParameters): RequestOptions {
  return requestOptions(Reflect.get(parameters, 'timeout'), Reflect.get(parameters, 'priority'));
}

function nameOf(input: HeaderInput): string {
  return input.kind === 'given' ? input.name : input.spec.name;
}

function parseJson(body: Buffer): Record<string, unknown> {
  if (nestsDeeperThan(body, MAX_JSON_DEPTH)) {
    throw bad(`the body nests arrays and objects deeper than the ${MAX_JSON_DEPTH} levels allowed`);
  }
  const text = body.toString('utf8');
  // Bytes that are not UTF-8 have become U+FFFD by now; the same character sent on purpose is fine.
  if (text.includes('\ufffd') && !isUtf8(body)) throw bad('the body is not UTF-8, which JSON is');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const hint = /\b(NaN|-?Infinity)\b/.test(text.slice(0, 100_000))
      ? '; JSON has no NaN or Infinity: send such a tensor in binary'
      : '';
    throw bad(`the body is not JSON: ${(cause as Error).message}${hint}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('the body must be a JSON object with "inputs"');
  }
  return value as Record<string, unknown>;
}

/** What is left of a request when its numbers are lifted; what is wrong with it is said of the request as it came. */
function parseRest(rest: Buffer, request: Buffer): Record<string, unknown> {
  try {
    return parseJson(rest);
  } catch {
    return parseJson(request);
  }
}

/** `numbers`: its data, if they were lifted out; `exact`: the text of its data, value by value. */
function parseInput(
  input: unknown,
  manifest: Manifest,
  numbers: LiftedNumbers | null,
  exact: () => readonly string[],
): HeaderInput {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw bad('each input must be an object with name, shape, datatype and data');
  }
  const { name, shape, datatype, data, parameters } = input as Record<string, unknown>;
  const spec = manifest.inputs.find((candidate) => candidate.name === name);
  if (spec === undefined) {
    const known = manifest.inputs.map((candidate) => `"${candidate.name}"`).join(', ');
    throw bad(`unknown input ${showValue(name)}; this model takes ${known}`);
  }
  const checkedShape = parseShape(shape, spec);
  if (datatype !== spec.datatype) {
    throw bad(
      `input "${spec.name}" has datatype ${showValue(datatype)}; the model takes ${spec.datatype}`,
    );
  }
  const sizeBytes =
    parameters === undefined || parameters === null
      ? undefined
      : binarySize(parameters, data, spec);
  if (sizeBytes !== undefined) return binaryInput(spec, checkedShape, sizeBytes);
  if (!Array.isArray(data)) throw bad(`input "${spec.name}" needs "data", an array`);
  const values =
    numbers === null
      ? jsonValues(data, checkedShape, spec, exact)
      : liftedValues(numbers, checkedShape, spec);
  const tensor = { datatype: spec.datatype, shape: checkedShape, data: values };
  return { kind: 'given', name: spec.name, tensor };
}

function jsonValues(
  data: readonly unknown[],
  shape: readonly number[],
  { name, datatype }: TensorSpec,
  exact: () => readonly string[],
): TensorData {
  const flat = flatten(data, shape, name);
  try {
    return toTensorData(datatype, flat, `input "${name}"`, exact);
  } catch (cause) {
    if (cause instanceof TensorValueError) throw bad(cause.message);
    throw cause;
  }
}

function liftedValues(
  { values, shape: nesting }: LiftedNumbers,
  shape: readonly number[],
  { name }: TensorSpec,
): TensorData {
  if (nesting.length > 1 && !sameShape(nesting, shape)) {
    throw bad(
      `input "${name}" is nested as ${showShape(nesting)}; its shape says ${showShape(shape)}`,
    );
  }
  const expected = elementCount(shape);
  if (values.length !== expected) {
    throw bad(
      `input "${name}" has ${values.length} values; its shape ${showShape(shape)} holds ${expected}`,
    );
  }
  return values;
}

function sameShape(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((size, at) => size === other[at]);
}

/** `parameters.binary_data_size` of an input, if it is given and nothing else is. */
function binarySize(parameters: unknown, data: unknown, spec: TensorSpec): unknown {
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
    throw bad(`"parameters" of input "${spec.name}" must be an object`);
  }
  const sizeBytes: unknown = Reflect.get(parameters, 'binary_data_size');
  const region: unknown = Reflect.get(parameters, 'shared_memory_region');
  const given = [data ?? undefined, sizeBytes, region].filter(
    (source) => source !== undefined,
  ).length;
  if (given > 1) {
    throw bad(`input "${spec.name}" must set only one of ${INPUT_SOURCES.join(', ')}`);
  }
  if (region !== undefined) {
    throw bad(
      `input "${spec.name}" lies in shared memory, which is not supported; send it in binary`,
    );
  }
  return sizeBytes;
}

function binaryInput(spec: TensorSpec, shape: number[], sizeBytes: unknown): HeaderInput {
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw bad(
      `binary_data_size of input "${spec.name}" is ${showValue(sizeBytes)}; it must be a number of bytes`,
    );
  }
  const count = elementCount(shape);
  const each = elementBytes(spec.datatype);
  if (each !== null && sizeBytes !== count * each) {
    throw bad(
      `binary_data_size of input "${spec.name}" is ${sizeBytes}; ${spec.datatype}${showShape(shape)} has ${count * each} bytes`,
    );
  }
  return { kind: 'binary', spec, shape, count, sizeBytes };
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
