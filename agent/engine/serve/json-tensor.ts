import { MAX_RANK, MAX_STRING_ELEMENTS } from '../../../protocol/limits.ts';
import { elementCount, shapeFits, showShape, type TensorSpec } from '../../../protocol/tensor.ts';
import { OipError } from './oip-error.ts';

/** Largest dimension: ONNX Runtime's Node binding refuses what does not fit 32 bits. */
export const MAX_DIMENSION = 2 ** 31 - 1;

/** A request's `shape`, checked against what the model takes. Throws 'bad_request'. */
export function parseShape(shape: unknown, spec: TensorSpec): number[] {
  if (!isShape(shape)) {
    throw bad(
      `input "${spec.name}" needs "shape", an array of at most ${MAX_RANK} integers from 0 to ${MAX_DIMENSION}`,
    );
  }
  if (!shapeFits(shape, spec.shape)) {
    throw bad(
      `input "${spec.name}" has shape ${showShape(shape)}; the model takes ${showShape(spec.shape)}`,
    );
  }
  // A 0 anywhere makes the count 0 whatever the rest says, but the runtime multiplies them all.
  let product = 1;
  for (const dimension of shape) product *= dimension === 0 ? 1 : dimension;
  if (product > Number.MAX_SAFE_INTEGER) {
    throw bad(`input "${spec.name}" has shape ${showShape(shape)}, which is too large`);
  }
  if (spec.datatype === 'BYTES' && elementCount(shape) > MAX_STRING_ELEMENTS) {
    throw bad(
      `input "${spec.name}" has shape ${showShape(shape)}, ${elementCount(shape)} elements; a BYTES tensor may have ${MAX_STRING_ELEMENTS}`,
    );
  }
  return shape;
}

function isShape(shape: unknown): shape is number[] {
  return (
    Array.isArray(shape) &&
    shape.length <= MAX_RANK &&
    shape.every(
      (dimension) => Number.isInteger(dimension) && dimension >= 0 && dimension <= MAX_DIMENSION,
    )
  );
}

/** Row-major values of flat or nested data; nesting must follow the shape exactly. Throws 'bad_request'. */
export function flatten(
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
  const innermost = depth === shape.length - 1;
  for (const entry of data) {
    if (Array.isArray(entry)) collect(entry, shape, depth + 1, into, name);
    else if (innermost) into.push(entry);
    else throw bad(`input "${name}" mixes values and arrays at depth ${depth}`);
  }
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
