import type { TensorSpec } from '../../../protocol/tensor.ts';
import { shapeFits, showShape } from '../../../protocol/tensor.ts';
import type { Tensor } from '../model/runtime.ts';
import { OipError } from '../serve/oip-error.ts';
import type { Scope, Value } from './value.ts';

/**
 * The tensors of a step, as its version takes them: a rollout may have changed that since the pipeline was made.
 * Throws `OipError` 'model_failed' that names the deployment, the tensor and what it should be.
 */
export function stepInputs(
  step: string,
  specs: readonly TensorSpec[],
  given: Scope,
): Map<string, Tensor> {
  for (const name of given.keys()) {
    if (specs.some((spec) => spec.name === name)) continue;
    const known = specs.map((spec) => `"${spec.name}"`).join(', ');
    throw failed(`the pipeline gives ${step} an input "${name}"; it takes ${known}`);
  }
  const tensors = new Map<string, Tensor>();
  for (const spec of specs) {
    const value = given.get(spec.name);
    if (value === undefined) {
      throw failed(`the pipeline does not give ${step} its input "${spec.name}" ${shown(spec)}`);
    }
    if (!fits(value.tensor, spec)) {
      throw failed(
        `the pipeline gives ${step} "${spec.name}" as ${shown(value.tensor)}; it takes ${shown(spec)}`,
      );
    }
    tensors.set(spec.name, value.tensor);
  }
  return tensors;
}

/** Tensors with what their specifications say of their rows; those that are not specified are left out. */
export function valuesOf(
  specs: readonly TensorSpec[],
  tensors: ReadonlyMap<string, Tensor>,
): Map<string, Value> {
  const values = new Map<string, Value>();
  for (const { name, shape } of specs) {
    const tensor = tensors.get(name);
    if (tensor === undefined) continue;
    values.set(name, { tensor, byRow: shape[0] === -1 && tensor.shape.length > 0 });
  }
  return values;
}

/** A pipeline's answer, in the order that it states. Throws `OipError` 'model_failed' where it is not as stated. */
export function pipelineOutputs(specs: readonly TensorSpec[], written: Scope): Map<string, Tensor> {
  const outputs = new Map<string, Tensor>();
  for (const spec of specs) {
    const value = written.get(spec.name);
    if (value === undefined) throw failed(`the pipeline did not write its output "${spec.name}"`);
    if (!fits(value.tensor, spec)) {
      throw failed(
        `the pipeline's output "${spec.name}" should be ${shown(spec)}, and became ${shown(value.tensor)}`,
      );
    }
    outputs.set(spec.name, value.tensor);
  }
  return outputs;
}

type Typed = Pick<TensorSpec, 'datatype'> & { readonly shape: readonly number[] };

function fits(tensor: Tensor, spec: TensorSpec): boolean {
  return tensor.datatype === spec.datatype && shapeFits(tensor.shape, spec.shape);
}

function shown({ datatype, shape }: Typed): string {
  return `${datatype}${showShape(shape)}`;
}

function failed(message: string): OipError {
  return new OipError('model_failed', message);
}
