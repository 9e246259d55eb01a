import type { Tensor as OrtTensor } from 'onnxruntime-node';
import type { Datatype } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from './runtime.ts';

const ORT_TYPE: Readonly<Record<Datatype, OrtTensor.Type | null>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
  BF16: null,
};

const DATATYPE_OF_ORT = new Map<string, Datatype>(
  Object.entries(ORT_TYPE).flatMap(([datatype, type]) =>
    type === null ? [] : [[type, datatype as Datatype]],
  ),
);

export function toOrt(tensor: Tensor, TensorClass: typeof OrtTensor): OrtTensor {
  const type = ORT_TYPE[tensor.datatype];
  if (type === null) throw new TypeError(`${tensor.datatype} is not supported by onnxruntime-node`);
  // The constructor's overloads pair each type with its array; ours are paired by parsing.
  return new TensorClass(type as 'float32', tensor.data as Float32Array, tensor.shape);
}

export function fromOrt(tensor: OrtTensor): Tensor {
  const datatype = DATATYPE_OF_ORT.get(tensor.type);
  if (datatype === undefined) throw new TypeError(`the model gave a tensor of type ${tensor.type}`);
  return { datatype, shape: tensor.dims, data: tensor.data as TensorData };
}
