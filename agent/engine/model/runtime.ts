import type { Datatype } from '../../../protocol/tensor.ts';

/** Elements of a tensor as the runtime takes and gives them. FP16 and BF16 travel as their bit patterns. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[];

export interface Tensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** One open model. `run` may block its thread: ONNX Runtime's Node binding is synchronous underneath. */
export interface Session {
  run(inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>>;
  release(): Promise<void>;
}

/** What executes models: onnxruntime-node on hosts, onnxruntime-web in pages. */
export interface Runtime {
  readonly name: string;
  open(model: Uint8Array): Promise<Session>;
}
