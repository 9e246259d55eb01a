import type { Tensor } from '../model/runtime.ts';
import { OipError } from './oip-error.ts';

export interface Provenance {
  readonly deployment: string;
  readonly version: number;
  readonly decision: string;
  readonly arm: string;
  readonly generation: number;
}

/**
 * An OIP v2 JSON answer as text. Written by hand: numbers are joined straight from the typed array, which also
 * keeps INT64 exact. Throws `OipError` 'non_finite_output', because JSON has no NaN and inventing a value for it
 * would be a silent wrong answer.
 */
export function renderInferResponse(
  id: string | null,
  from: Provenance,
  outputs: ReadonlyMap<string, Tensor>,
  wanted: readonly string[] | null,
): string {
  const rendered: string[] = [];
  for (const [name, tensor] of outputs) {
    if (wanted === null || wanted.includes(name)) rendered.push(renderOutput(name, tensor));
  }
  const idPart = id === null ? '' : `"id":${JSON.stringify(id)},`;
  return (
    `{"model_name":"${from.deployment}","model_version":"${from.version}",${idPart}` +
    `"parameters":{"decision_id":"${from.decision}","arm":"${from.arm}","generation":${from.generation}},` +
    `"outputs":[${rendered.join(',')}]}`
  );
}

function renderOutput(name: string, tensor: Tensor): string {
  return `{"name":${JSON.stringify(name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join(',')}],"data":[${renderData(name, tensor)}]}`;
}

function renderData(name: string, tensor: Tensor): string {
  const { data, datatype } = tensor;
  if (Array.isArray(data)) return data.map((text) => JSON.stringify(text)).join(',');
  if (datatype === 'BOOL') return Array.from(data as Uint8Array, (value) => (value ? 'true' : 'false')).join(',');
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw new OipError('bad_request', `output "${name}" is ${datatype}, which has no JSON form`);
  }
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let at = 0; at < data.length; at += 1) {
      if (!Number.isFinite(data[at])) {
        throw new OipError(
          'non_finite_output',
          `output "${name}"[${at}] is ${data[at]}; JSON cannot carry it`,
        );
      }
    }
  }
  return data.join(',');
}
