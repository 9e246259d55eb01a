import type { Provider } from '../../../protocol/serving.ts';
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

/** One open model. */
export interface Session {
  /** What really executes it. */
  readonly provider: Provider;
  /** Calls that can be on their way at once beside this thread; 0: a call blocks this thread until it is done. */
  readonly lanes: number;
  run(inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>>;
  /** As `run`, within the caller's own turn of the event loop; only where `lanes` is 0 and the runtime can. */
  runSync?(inputs: ReadonlyMap<string, Tensor>): Map<string, Tensor>;
  /** Ends the count of `countNodes`: nodes that ran so far, by what ran them. Absent where nothing was counted. */
  nodes?(): Promise<NodeCounts>;
  /** Age of the oldest call that is on its way beside this thread, 0 without one; absent where `lanes` is 0. */
  longestCallMs?(): number;
  release(): Promise<void>;
}

/** Nodes of a graph by the execution provider that ran them, in ONNX Runtime's words: `CPUExecutionProvider: 3`. */
export type NodeCounts = Readonly<Record<string, number>>;

export interface SessionOptions {
  readonly provider: Provider;
  /** Threads inside one operator. */
  readonly intraOpThreads: number;
  /** Counts which provider runs which nodes: ONNX Runtime leaves to the CPU what a provider can't run, without a word. */
  readonly countNodes?: boolean;
}

export interface WorkerSessionOptions extends SessionOptions {
  /** Threads with a session each. */
  readonly workers: number;
}

/** What executes models: onnxruntime-node on hosts, onnxruntime-web in pages. `open` blocks its thread. */
export interface Runtime {
  readonly name: string;
  /** The bytes of a model, or where the runtime finds them. */
  open(model: Uint8Array | string, options?: SessionOptions): Promise<Session>;
  /** Opens in threads that read the file themselves, so that this thread is not held up. Absent without threads. */
  openOnWorkers?(modelPath: string, options: WorkerSessionOptions): Promise<Session>;
}
