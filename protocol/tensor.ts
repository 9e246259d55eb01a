import { z } from 'zod';
import { MAX_RANK } from './limits.ts';

/** Open Inference Protocol datatypes. */
export const datatypeSchema = z.enum([
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
  'BF16',
]);
export type Datatype = z.infer<typeof datatypeSchema>;

/** A tensor's name, type and shape; -1 stands for a dimension that is free. */
export const tensorSpecSchema = z.object({
  name: z.string().min(1).max(256),
  datatype: datatypeSchema,
  shape: z.array(z.int().min(-1)).max(MAX_RANK),
});
export type TensorSpec = z.infer<typeof tensorSpecSchema>;

/** ONNX `TensorProto.DataType` numbers (onnx.proto, stable since IR version 3) to OIP datatypes. */
export const DATATYPE_OF_ONNX: ReadonlyMap<number, Datatype> = new Map([
  [1, 'FP32'],
  [2, 'UINT8'],
  [3, 'INT8'],
  [4, 'UINT16'],
  [5, 'INT16'],
  [6, 'INT32'],
  [7, 'INT64'],
  [8, 'BYTES'],
  [9, 'BOOL'],
  [10, 'FP16'],
  [11, 'FP64'],
  [12, 'UINT32'],
  [13, 'UINT64'],
  [16, 'BF16'],
]);

/** Inclusive bounds of the integer datatypes that a JavaScript number holds exactly. */
export const INTEGER_BOUNDS: Readonly<Partial<Record<Datatype, readonly [number, number]>>> = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffffffff],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x80000000, 0x7fffffff],
};

/** Elements of a concrete shape; 1 for a scalar. The caller has checked that no dimension is negative. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return count;
}

/** Does a concrete shape fit a specification in which -1 is free? */
export function shapeFits(shape: readonly number[], spec: readonly number[]): boolean {
  if (shape.length !== spec.length) return false;
  return spec.every((dimension, at) => dimension === -1 || dimension === shape[at]);
}

/** `[-1,10]` as people write it. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(',')}]`;
}
