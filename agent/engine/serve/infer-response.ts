import type { Tensor } from '../model/runtime.ts';
import { OipError } from './oip-error.ts';
import type { OutputSelection } from './output-selection.ts';
import { bytesOf } from './tensor-bytes.ts';

export interface Provenance {
  readonly deployment: string;
  readonly version: number;
  readonly decision: string;
  readonly arm: string;
  readonly generation: number;
  /** Values that could not be fetched and were replaced by defaults; absent: features are not fetched. */
  readonly featuresDefaulted?: number;
}

/** An answer for the wire: its JSON, and the tensors that follow it, or null when all of it is JSON. */
export interface InferAnswer {
  readonly json: string;
  readonly tensors: readonly Buffer[] | null;
}

/**
 * An OIP v2 answer. Written by hand: numbers are joined straight from the typed array, which also keeps INT64 exact,
 * and binary outputs are views of the runtime's memory. Throws `OipError` 'non_finite_output', because JSON has no
 * NaN and inventing a value for it would be a silent wrong answer; in binary every bit pattern passes.
 */
export function renderInferResponse(
  id: string | null,
  from: Provenance,
  outputs: ReadonlyMap<string, Tensor>,
  selection: OutputSelection,
): InferAnswer {
  let rendered = '';
  const tensors: Buffer[] = [];
  for (const [name, tensor] of outputs) {
    const binary = selection.named === null ? selection.binary : selection.named.get(name);
    if (binary === undefined) continue;
    if (rendered !== '') rendered += ',';
    rendered += describeOutput(name, tensor);
    if (binary) {
      const bytes = bytesOf(tensor);
      tensors.push(bytes);
      rendered += `,"parameters":{"binary_data_size":${bytes.length}}}`;
    } else rendered += `,"data":[${renderData(name, tensor)}]}`;
  }
  const idPart = id === null ? '' : `"id":${JSON.stringify(id)},`;
  const json =
    `{"model_name":"${from.deployment}","model_version":"${from.version}",${idPart}` +
    `"parameters":{"decision_id":"${from.decision}","arm":"${from.arm}","generation":${from.generation}${defaultedPart(from)}},` +
    `"outputs":[${rendered}]}`;
  return { json, tensors: tensors.length === 0 ? null : tensors };
}

function defaultedPart({ featuresDefaulted = 0 }: Provenance): string {
  return featuresDefaulted === 0 ? '' : `,"features_defaulted":${featuresDefaulted}`;
}

function describeOutput(name: string, { datatype, shape }: Tensor): string {
  let dimensions = shape.length === 0 ? '' : `${shape[0]}`;
  for (let at = 1; at < shape.length; at += 1) dimensions += `,${shape[at]}`;
  return `{"name":${quotedName(name)},"datatype":"${datatype}","shape":[${dimensions}]`;
}

/** Output names are those of the models in memory: few, and the same for every answer. */
const quotedNames = new Map<string, string>();
const MAX_QUOTED_NAMES = 4096;

function quotedName(name: string): string {
  let quoted = quotedNames.get(name);
  if (quoted === undefined) {
    quoted = JSON.stringify(name);
    if (quotedNames.size >= MAX_QUOTED_NAMES) quotedNames.clear();
    quotedNames.set(name, quoted);
  }
  return quoted;
}

function renderData(name: string, tensor: Tensor): string {
  const { data, datatype } = tensor;
  if (Array.isArray(data)) return data.map((text) => JSON.stringify(text)).join(',');
  if (datatype === 'BOOL') {
    return Array.from(data as Uint8Array, (value) => (value ? 'true' : 'false')).join(',');
  }
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw new OipError(
      'bad_request',
      `output "${name}" is ${datatype}, which has no JSON form; ask for it with binary_data`,
    );
  }
  if (data instanceof Float32Array || data instanceof Float64Array) return renderFloats(name, data);
  return data.join(',');
}

function renderFloats(name: string, data: Float32Array | Float64Array): string {
  let negativeZero = false;
  for (let at = 0; at < data.length; at += 1) {
    const value = data[at];
    if (!Number.isFinite(value)) {
      throw new OipError(
        'non_finite_output',
        `output "${name}"[${at}] is ${value}, which JSON cannot carry; ask for it with binary_data`,
      );
    }
    negativeZero ||= Object.is(value, -0);
  }
  // `join` drops the sign of -0, which JSON has; without a fraction Python would read an integer, which has none.
  return negativeZero
    ? Array.from(data, (value) => (Object.is(value, -0) ? '-0.0' : String(value))).join(',')
    : data.join(',');
}
