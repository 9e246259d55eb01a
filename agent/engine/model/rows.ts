import type { Manifest } from '../../../protocol/manifest.ts';
import { elementCount } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from './runtime.ts';

export type Tensors = ReadonlyMap<string, Tensor>;

/** Rows `from` up to and without `to` of tensors whose first dimension counts rows. Views, where there can be views. */
export function sliceRows(tensors: Tensors, from: number, to: number): Map<string, Tensor> {
  const sliced = new Map<string, Tensor>();
  for (const [name, { datatype, shape, data }] of tensors) {
    const [rows, ...rest] = shape;
    const width = rows === 0 ? 0 : data.length / rows;
    const [start, end] = [from * width, to * width];
    const part = Array.isArray(data) ? data.slice(start, end) : data.subarray(start, end);
    sliced.set(name, { datatype, shape: [to - from, ...rest], data: part });
  }
  return sliced;
}

/** Does the first dimension of every input and output count rows? */
export function batchable({ inputs, outputs }: Manifest): boolean {
  return inputs.length > 0 && [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
}

/** Rows that all tensors have in common; null where their first dimensions differ. */
export function commonRows(tensors: Tensors): number | null {
  const counts = new Set([...tensors.values()].map(({ shape }) => shape[0]));
  const [rows] = counts;
  return counts.size === 1 && rows !== undefined ? rows : null;
}

/** One row of zeros and empty texts, every free dimension 1: what can be run when nobody gave an example. */
export function syntheticRow({ inputs }: Manifest): Map<string, Tensor> {
  const row = new Map<string, Tensor>();
  for (const { name, datatype, shape } of inputs) {
    const concrete = shape.map((size) => (size === -1 ? 1 : size));
    row.set(name, { datatype, shape: concrete, data: zeros(datatype, elementCount(concrete)) });
  }
  return row;
}

function zeros(datatype: Tensor['datatype'], length: number): TensorData {
  switch (datatype) {
    case 'BYTES':
      return new Array<string>(length).fill('');
    case 'FP32':
      return new Float32Array(length);
    case 'FP64':
      return new Float64Array(length);
    case 'INT64':
      return new BigInt64Array(length);
    case 'UINT64':
      return new BigUint64Array(length);
    case 'INT32':
      return new Int32Array(length);
    case 'UINT32':
      return new Uint32Array(length);
    case 'INT16':
      return new Int16Array(length);
    case 'UINT16':
    case 'FP16':
    case 'BF16':
      return new Uint16Array(length);
    case 'INT8':
      return new Int8Array(length);
    case 'UINT8':
    case 'BOOL':
      return new Uint8Array(length);
  }
}
