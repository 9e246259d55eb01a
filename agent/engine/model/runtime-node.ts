import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Datatype } from '../../../protocol/tensor.ts';
import type { Runtime, Session, Tensor, TensorData } from './runtime.ts';

// ONNX Runtime >= 1.29 writes a device id and looks up a telemetry host when the first session opens,
// unless this is set by then; it is latched for the life of the process.
process.env.ORT_DISABLE_TELEMETRY = '1';

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

/** Threads inside one operator. One: engines are processes, and two of them beat one with two threads (1.3-1.6x measured). */
const INTRA_OP_THREADS = 1;

/** Loads the native library on first use, so that a process that serves no model never pays for it. */
export async function createNodeRuntime(): Promise<Runtime> {
  const ort = await import('onnxruntime-node');
  return {
    name: 'onnxruntime-node/cpu',
    async open(model) {
      const session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: INTRA_OP_THREADS,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: 3,
      });
      return wrap(session, ort.Tensor);
    },
  };
}

function wrap(session: InferenceSession, TensorClass: typeof OrtTensor): Session {
  return {
    async run(inputs) {
      const feeds: Record<string, OrtTensor> = {};
      for (const [name, tensor] of inputs) feeds[name] = toOrt(tensor, TensorClass);
      const fetched = await session.run(feeds);
      const outputs = new Map<string, Tensor>();
      for (const name of session.outputNames) outputs.set(name, fromOrt(fetched[name]));
      return outputs;
    },
    release: () => session.release(),
  };
}

function toOrt(tensor: Tensor, TensorClass: typeof OrtTensor): OrtTensor {
  const type = ORT_TYPE[tensor.datatype];
  if (type === null) throw new TypeError(`${tensor.datatype} is not supported by onnxruntime-node`);
  // The constructor's overloads pair each type with its array; ours are paired by parsing.
  return new TensorClass(type as 'float32', tensor.data as Float32Array, tensor.shape);
}

function fromOrt(tensor: OrtTensor): Tensor {
  const datatype = DATATYPE_OF_ORT.get(tensor.type);
  if (datatype === undefined) throw new TypeError(`the model gave a tensor of type ${tensor.type}`);
  return { datatype, shape: tensor.dims, data: tensor.data as TensorData };
}
