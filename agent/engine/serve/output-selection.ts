import type { Manifest } from '../../../protocol/manifest.ts';
import { showValue } from '../model/tensor-data.ts';
import { OipError } from './oip-error.ts';

/** Which outputs a request wants, and in what form. */
export interface OutputSelection {
  /** The outputs asked for by name, and whether each is wanted in binary; null means all of them. */
  readonly named: ReadonlyMap<string, boolean> | null;
  /** The form where `named` is null. */
  readonly binary: boolean;
}

export const ALL_AS_JSON: OutputSelection = { named: null, binary: false };
export const ALL_AS_BINARY: OutputSelection = { named: null, binary: true };

/** Asks that would be ignored without a word otherwise: the answer would lack what the client relies on. */
const UNSUPPORTED = ['classification', 'shared_memory_region'];

/**
 * A request's `outputs` and `parameters.binary_data_output`; an output's own `binary_data` overrides the latter.
 * An empty list means all, as in Triton. Throws 'bad_request'.
 */
export function parseOutputs(
  outputs: unknown,
  parameters: unknown,
  manifest: Manifest,
): OutputSelection {
  const binary =
    flag(parametersOf(parameters, 'the request'), 'binary_data_output', 'the request') ?? false;
  if (outputs === undefined || outputs === null) return binary ? ALL_AS_BINARY : ALL_AS_JSON;
  if (!Array.isArray(outputs)) throw bad('"outputs" must be an array of {"name"}');
  if (outputs.length === 0) return binary ? ALL_AS_BINARY : ALL_AS_JSON;
  const named = new Map<string, boolean>();
  for (const output of outputs as unknown[]) {
    const name: unknown =
      typeof output === 'object' && output !== null ? Reflect.get(output, 'name') : null;
    const spec = manifest.outputs.find((candidate) => candidate.name === name);
    if (spec === undefined) {
      const known = manifest.outputs.map((candidate) => `"${candidate.name}"`).join(', ');
      throw bad(`unknown output ${showValue(name)}; this model gives ${known}`);
    }
    const what = `output "${spec.name}"`;
    const own = parametersOf(Reflect.get(output as object, 'parameters'), what);
    for (const parameter of UNSUPPORTED) {
      if (own[parameter] !== undefined && own[parameter] !== 0) {
        throw bad(`${what} asks for "${parameter}", which is not supported`);
      }
    }
    named.set(spec.name, flag(own, 'binary_data', what) ?? binary);
  }
  return { named, binary };
}

function parametersOf(parameters: unknown, what: string): Record<string, unknown> {
  if (parameters === undefined || parameters === null) return {};
  if (typeof parameters !== 'object' || Array.isArray(parameters)) {
    throw bad(`"parameters" of ${what} must be an object`);
  }
  return parameters as Record<string, unknown>;
}

function flag(parameters: Record<string, unknown>, name: string, what: string): boolean | null {
  const value = parameters[name];
  if (value === undefined) return null;
  if (typeof value !== 'boolean') {
    throw bad(`"${name}" of ${what} is ${showValue(value)}; it must be true or false`);
  }
  return value;
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
