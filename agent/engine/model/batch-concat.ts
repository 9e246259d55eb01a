import { type Datatype, elementCount } from '../../../protocol/tensor.ts';
import type { BatchJob } from './batch-job.ts';
import type { Tensor, TensorData } from './runtime.ts';

/** Rows that can stand among others: every input begins with the job's rows and holds what its shape says. */
export function batchable(job: BatchJob): boolean {
  if (job.rows < 1 || job.inputs.size === 0) return false;
  for (const { shape, data } of job.inputs.values()) {
    if (shape.length === 0 || shape[0] !== job.rows) return false;
    if (elementCount(shape) !== data.length) return false;
  }
  return true;
}

/** Can `next` follow `first` in one call: the same inputs, equal but for their first dimension? `first` is batchable. */
export function fitsWith(first: BatchJob, next: BatchJob): boolean {
  if (next.rows < 1 || next.inputs.size !== first.inputs.size) return false;
  for (const [name, tensor] of first.inputs) {
    const other = next.inputs.get(name);
    if (other === undefined || other.datatype !== tensor.datatype) return false;
    const { shape } = other;
    if (shape.length !== tensor.shape.length || shape[0] !== next.rows) return false;
    for (let i = 1; i < shape.length; i += 1) if (shape[i] !== tensor.shape[i]) return false;
    // A tensor shorter than its shape would move the rows of everyone after it.
    if (other.data.length * first.rows !== tensor.data.length * next.rows) return false;
  }
  return true;
}

/** The inputs of all jobs, one after the other; copies. The jobs fit, `rows` is their sum. */
export function concatInputs(jobs: readonly BatchJob[], rows: number): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>();
  for (const [name, { datatype, shape, data }] of jobs[0].inputs) {
    const length = (data.length / jobs[0].rows) * rows;
    const whole =
      datatype === 'BYTES' ? strings(jobs, name) : numbers(datatype, length, jobs, name);
    inputs.set(name, { datatype, shape: withRows(rows, shape), data: whole });
  }
  return inputs;
}

/** Does every output have a row for every row that went in? Without that, nobody knows whose row is whose. */
export function isRowWise(outputs: ReadonlyMap<string, Tensor>, rows: number): boolean {
  for (const { shape, data } of outputs.values()) {
    if (shape.length === 0 || shape[0] !== rows || data.length % rows !== 0) return false;
  }
  return true;
}

/** Rows of the outputs of a row-wise call, from the first to the last, as they are taken. */
export class RowSplitter {
  readonly #outputs: ReadonlyMap<string, Tensor>;
  readonly #rows: number;
  #from = 0;
  /** Of the rows that were taken last: most jobs of a batch have as many, and share the arrays. */
  readonly #shapes = new Map<string, readonly number[]>();
  #shapesRows = -1;

  constructor(outputs: ReadonlyMap<string, Tensor>, rows: number) {
    this.#outputs = outputs;
    this.#rows = rows;
  }

  /**
   * The next `rows` rows. Typed arrays are views of the whole call's memory, so that nothing is copied: who keeps
   * them longer than it takes to write them keeps the whole batch.
   */
  take(rows: number): Map<string, Tensor> {
    const from = this.#from;
    this.#from = from + rows;
    if (rows !== this.#shapesRows) this.#shape(rows);
    const part = new Map<string, Tensor>();
    for (const [name, { datatype, data }] of this.#outputs) {
      const width = data.length / this.#rows;
      const shape = this.#shapes.get(name) ?? [];
      part.set(name, { datatype, shape, data: slice(data, from * width, this.#from * width) });
    }
    return part;
  }

  #shape(rows: number): void {
    this.#shapesRows = rows;
    for (const [name, { shape }] of this.#outputs) this.#shapes.set(name, withRows(rows, shape));
  }
}

function withRows(rows: number, shape: readonly number[]): number[] {
  const whole = shape.slice();
  whole[0] = rows;
  return whole;
}

function slice(data: TensorData, from: number, to: number): TensorData {
  return Array.isArray(data) ? data.slice(from, to) : data.subarray(from, to);
}

function strings(jobs: readonly BatchJob[], name: string): string[] {
  return jobs.flatMap((job) => job.inputs.get(name)?.data as string[]);
}

function numbers(
  datatype: Exclude<Datatype, 'BYTES'>,
  length: number,
  jobs: readonly BatchJob[],
  name: string,
): TensorData {
  // TypeScript pairs each typed array with its own kind only; datatypes are equal here, and so are the arrays.
  const whole = new ARRAY[datatype](length) as Float32Array;
  let at = 0;
  for (let i = 0; i < jobs.length; i += 1) {
    const data = jobs[i].inputs.get(name)?.data as Float32Array;
    if (data.length === 1) whole[at] = data[0];
    else whole.set(data, at);
    at += data.length;
  }
  return whole;
}

const ARRAY: Readonly<
  Record<Exclude<Datatype, 'BYTES'>, new (length: number) => Exclude<TensorData, string[]>>
> = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  BF16: Uint16Array,
};
