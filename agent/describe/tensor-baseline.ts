import { elementCount, shapeFits, showShape, type TensorSpec } from '../../protocol/tensor.ts';
import type { Tensor } from '../engine/model/runtime.ts';
import { AgentError } from '../error.ts';
import type { Baseline } from './baseline.ts';
import type { NpyArray } from './npy.ts';

/**
 * Rows of the model's only input as an array of tensors. Throws `AgentError` 'configuration' where the model takes
 * something else.
 */
export function tensorBaseline(
  { datatype, shape, data }: NpyArray,
  inputs: readonly TensorSpec[],
  name: string,
): Baseline {
  const wrong = (what: string) => new AgentError('configuration', `${name} ${what}`);
  const [spec] = inputs;
  if (spec === undefined || inputs.length > 1) {
    throw wrong(`holds rows of one input, and the model takes ${inputs.length}; give a CSV`);
  }
  const takes = `input "${spec.name}" takes ${spec.datatype}${showShape(spec.shape)}`;
  if (datatype !== spec.datatype) throw wrong(`holds ${datatype}; ${takes}. Convert with .astype`);
  const [rows = 0, ...row] = shape;
  // A model that takes one row at a time is still given an array of them.
  const fits = shapeFits([spec.shape[0] === -1 ? rows : spec.shape[0], ...row], spec.shape);
  if (!fits || shape.length === 0 || (spec.shape[0] !== -1 && spec.shape[0] !== 1)) {
    throw wrong(
      `has the shape ${showShape(shape)}; ${takes}, and the file one such row after the other`,
    );
  }
  if (rows === 0) throw wrong('has no rows');
  const width = elementCount(row);
  return {
    rows,
    width,
    table: { columns: [], rows: Array.from({ length: rows }, () => []) },
    inputs: (from, to) => {
      const part: Tensor = {
        datatype,
        shape: [to - from, ...row],
        data: data.subarray(from * width, to * width),
      };
      return new Map([[spec.name, part]]);
    },
  };
}
