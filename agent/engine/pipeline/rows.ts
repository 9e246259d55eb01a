import { type Datatype, showShape } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';
import { OipError } from '../serve/oip-error.ts';

/** Rows of a tensor in the order of `rows`; copies. The tensor's first dimension counts its rows. */
export function takeRows({ datatype, shape, data }: Tensor, rows: readonly number[]): Tensor {
  const width = shape[0] === 0 ? 0 : data.length / shape[0];
  const taken = emptyData(datatype, data, rows.length * width);
  for (const [to, from] of rows.entries()) copyRow(data, from * width, taken, to * width, width);
  return { datatype, shape: [rows.length, ...shape.slice(1)], data: taken };
}

/** Rows that went one way, and what came back for them. */
export interface Part {
  readonly rows: readonly number[];
  readonly tensor: Tensor;
}

/**
 * One tensor with every part's rows at their places. Throws `OipError` 'model_failed' when the parts differ in
 * datatype or in the shape of a row, or one has not a row for each of its rows.
 */
export function scatterRows(name: string, parts: readonly Part[], rows: number): Tensor {
  const { datatype, shape, data } = parts[0].tensor;
  const [, ...rest] = shape;
  for (const { tensor, rows: wanted } of parts) {
    if (tensor.shape.length === 0 || tensor.shape[0] !== wanted.length) {
      throw new OipError(
        'model_failed',
        `a branch answered "${name}" ${showShape(tensor.shape)} for ${wanted.length} rows; it must have a row for each`,
      );
    }
    const same =
      tensor.datatype === datatype && showShape(tensor.shape.slice(1)) === showShape(rest);
    if (!same) {
      throw new OipError(
        'model_failed',
        `branches differ in "${name}": rows of ${datatype}${showShape(rest)} and of ${tensor.datatype}${showShape(tensor.shape.slice(1))}`,
      );
    }
  }
  const width = rest.reduce((product, size) => product * size, 1);
  const whole = emptyData(datatype, data, rows * width);
  for (const part of parts) {
    for (const [from, to] of part.rows.entries()) {
      copyRow(part.tensor.data, from * width, whole, to * width, width);
    }
  }
  return { datatype, shape: [rows, ...rest], data: whole };
}

/** Memory of the same kind as `like`. */
export function emptyData(datatype: Datatype, like: TensorData, length: number): TensorData {
  if (datatype === 'BYTES' || Array.isArray(like)) return new Array<string>(length).fill('');
  return new (like.constructor as new (length: number) => TensorData)(length);
}

function copyRow(from: TensorData, at: number, to: TensorData, start: number, width: number): void {
  // Both are of one kind: `to` was made after `from`.
  const source = from as Float32Array;
  const target = to as Float32Array;
  for (let i = 0; i < width; i += 1) target[start + i] = source[at + i];
}
