import { MAX_JSON_DEPTH, MAX_RANK } from '../../../protocol/limits.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { elementCount, shapeFits, showShape, type TensorSpec } from '../../../protocol/tensor.ts';
import type { Tensor } from '../model/runtime.ts';
import { showValue, TensorValueError, toTensorData } from '../model/tensor-data.ts';
import { nestsDeeperThan } from './json-depth.ts';
import { OipError } from './oip-error.ts';

export interface InferRequest {
  readonly id: string | null;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Output names asked for; null means all. */
  readonly outputs: readonly string[] | null;
}

/**
 * Parses an OIP v2 JSON inference request against what the model takes. Hand-written rather than by schema:
 * it is on the path of every request, and its errors name the tensor, the value and the bound.
 * Throws `OipError` 'bad_request'.
 */
export function parseInferRequest(body: Buffer, manifest: Manifest): InferRequest {
  const request = parseJson(body);
  const { id, inputs, outputs } = request;
  if (id !== undefined && typeof id !== 'string')
    throw bad(`"id" must be a string, got ${typeof id}`);
  if (!Array.isArray(inputs)) throw bad('"inputs" must be an array of tensors');
  const tensors = new Map<string, Tensor>();
  for (const input of inputs) {
    const [name, tensor] = parseInput(input, manifest);
    if (tensors.has(name)) throw bad(`input "${name}" is given twice`);
    tensors.set(name, tensor);
  }
  for (const spec of manifest.inputs) {
    if (!tensors.has(spec.name)) {
      throw bad(`input "${spec.name}" ${spec.datatype}${showShape(spec.shape)} is missing`);
    }
  }
  return { id: id ?? null, inputs: tensors, outputs: parseOutputs(outputs, manifest) };
}

function parseJson(body: Buffer): Record<string, unknown> {
  if (nestsDeeperThan(body, MAX_JSON_DEPTH)) {
    throw bad(`the body nests arrays and objects deeper than the ${MAX_JSON_DEPTH} levels allowed`);
  }
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const hint = /\b(NaN|-?Infinity)\b/.test(text.slice(0, 100_000))
      ? '; JSON has no NaN or Infinity, and this model takes finite numbers'
      : '';
    throw bad(`the body is not JSON: ${(cause as Error).message}${hint}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('the body must be a JSON object with "inputs"');
  }
  return value as Record<string, unknown>;
}

function parseInput(input: unknown, manifest: Manifest): [string, Tensor] {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw bad('each input must be an object with name, shape, datatype and data');
  }
  const { name, shape, datatype, data } = input as Record<string, unknown>;
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
  if (!Array.isArray(data)) throw bad(`input "${spec.name}" needs "data", an array`);
  const flat = flatten(data, checkedShape, spec.name);
  try {
    const values = toTensorData(spec.datatype, flat, `input "${spec.name}"`);
    return [spec.name, { datatype: spec.datatype, shape: checkedShape, data: values }];
  } catch (cause) {
    if (cause instanceof TensorValueError) throw bad(cause.message);
    throw cause;
  }
}

function parseShape(shape: unknown, spec: TensorSpec): number[] {
  const valid =
    Array.isArray(shape) &&
    shape.length <= MAX_RANK &&
    shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0);
  if (!valid) {
    throw bad(`input "${spec.name}" needs "shape", an array of at most ${MAX_RANK} integers >= 0`);
  }
  if (!shapeFits(shape, spec.shape)) {
    throw bad(
      `input "${spec.name}" has shape ${showShape(shape)}; the model takes ${showShape(spec.shape)}`,
    );
  }
  return shape;
}

/** Row-major values of flat or nested data; nesting must follow the shape exactly. */
function flatten(
  data: readonly unknown[],
  shape: readonly number[],
  name: string,
): readonly unknown[] {
  const expected = elementCount(shape);
  let flat = data;
  if (data.length > 0 && Array.isArray(data[0])) {
    const into: unknown[] = [];
    collect(data, shape, 0, into, name);
    flat = into;
  }
  if (flat.length !== expected) {
    throw bad(
      `input "${name}" has ${flat.length} values; its shape ${showShape(shape)} holds ${expected}`,
    );
  }
  return flat;
}

function collect(
  data: readonly unknown[],
  shape: readonly number[],
  depth: number,
  into: unknown[],
  name: string,
): void {
  if (depth >= shape.length) {
    throw bad(`input "${name}" is nested deeper than its shape ${showShape(shape)}`);
  }
  if (data.length !== shape[depth]) {
    throw bad(
      `input "${name}" has ${data.length} entries at depth ${depth}; its shape says ${shape[depth]}`,
    );
  }
  for (const entry of data) {
    if (Array.isArray(entry)) collect(entry, shape, depth + 1, into, name);
    else into.push(entry);
  }
}

function parseOutputs(outputs: unknown, manifest: Manifest): readonly string[] | null {
  if (outputs === undefined || outputs === null) return null;
  if (!Array.isArray(outputs)) throw bad('"outputs" must be an array of {"name"}');
  return outputs.map((output: unknown) => {
    const name = typeof output === 'object' && output !== null ? Reflect.get(output, 'name') : null;
    if (!manifest.outputs.some((candidate) => candidate.name === name)) {
      const known = manifest.outputs.map((candidate) => `"${candidate.name}"`).join(', ');
      throw bad(`unknown output ${showValue(name)}; this model gives ${known}`);
    }
    return String(name);
  });
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
