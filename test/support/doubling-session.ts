import type { Session, Tensor } from '../../agent/engine/model/runtime.ts';

type Tensors = ReadonlyMap<string, Tensor>;

/** A call that was made and not ended yet. */
export interface OpenCall {
  readonly inputs: Tensors;
  end(): void;
  fail(error: unknown): void;
}

export const POISON = -1;

/**
 * y = 2x for every numeric input, by row; a call that carries `POISON` fails. With lanes, calls end when the test says.
 */
export class DoublingSession implements Session {
  readonly provider = 'cpu';
  readonly lanes: number;
  /** First dimension of the first input of every call, in the order of the calls. */
  readonly rows: number[] = [];
  /** First values of each call's rows. */
  readonly seen: number[][] = [];
  open: OpenCall[] = [];
  onCall: () => void = () => {};

  constructor(lanes: number) {
    this.lanes = lanes;
  }

  run(inputs: Tensors): Promise<Map<string, Tensor>> {
    this.#note(inputs);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.open = this.open.filter((other) => other !== call);
      };
      const call: OpenCall = {
        inputs,
        end: () => {
          leave();
          try {
            resolve(doubled(inputs));
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      this.open.push(call);
      this.onCall();
    });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  #note(inputs: Tensors): void {
    const [first] = inputs.values();
    const rows = first?.shape[0] ?? 0;
    this.rows.push(rows);
    const width = rows === 0 ? 1 : first.data.length / rows;
    this.seen.push(Array.from({ length: rows }, (_, row) => Number(first.data[row * width])));
  }

  protected note(inputs: Tensors): void {
    this.#note(inputs);
  }
}

/** The same within the caller's turn. */
export class DoublingInline extends DoublingSession {
  constructor() {
    super(0);
  }

  runSync(inputs: Tensors): Map<string, Tensor> {
    this.note(inputs);
    this.onCall();
    return doubled(inputs);
  }
}

export function doubled(inputs: Tensors): Map<string, Tensor> {
  const outputs = new Map<string, Tensor>();
  for (const [name, { datatype, shape, data }] of inputs) {
    if (Array.isArray(data)) {
      outputs.set(name, { datatype, shape, data: data.map((text) => text + text) });
      continue;
    }
    const floats = data as Float32Array;
    if (floats.includes(POISON)) throw new RangeError('poison');
    // bigint + bigint as well as number + number.
    outputs.set(name, { datatype, shape, data: floats.map((value) => value + value) });
  }
  return outputs;
}
