import { elementCount, shapeFits, type TensorSpec } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';

/** The strings of one row of a BYTES tensor; null where it is none, or has no such row. */
export function textsOfRow(tensor: Tensor | undefined, row: number, rows: number): string[] | null {
  if (tensor === undefined || !Array.isArray(tensor.data)) return null;
  const width = tensor.data.length / rows;
  return width >= 1 ? tensor.data.slice(row * width, (row + 1) * width) : null;
}

/**
 * One row as the only row of another model's input; null where it does not fit. The row is copied: what waits to be
 * scored must not keep a whole answer in memory.
 */
export function rowAsInput(
  tensor: Tensor | undefined,
  row: number,
  rows: number,
  { datatype, shape }: TensorSpec,
): Tensor | null {
  if (tensor === undefined || tensor.datatype !== datatype || rows < 1) return null;
  const width = tensor.data.length / rows;
  const kept = [1, ...tensor.shape.slice(1)];
  // [N] strings fit [N,1], and the other way round.
  const given = shape.map((dimension, at) => (at === 0 || dimension === -1 ? 1 : dimension));
  const fitting = [kept, given].find(
    (candidate) => shapeFits(candidate, shape) && elementCount(candidate) === width,
  );
  if (fitting === undefined) return null;
  const data: TensorData = tensor.data.slice(row * width, (row + 1) * width);
  return { datatype, shape: fitting, data };
}
