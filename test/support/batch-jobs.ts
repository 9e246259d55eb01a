import type { BatchJob, BatchTimes } from '../../agent/engine/model/batch-job.ts';
import type { Tensor } from '../../agent/engine/model/runtime.ts';
import { OipError } from '../../agent/engine/serve/oip-error.ts';

export interface JobSpec {
  readonly rows?: number;
  readonly width?: number;
  readonly priority?: number;
  readonly deadlineMs?: number;
  readonly inputs?: ReadonlyMap<string, Tensor>;
}

/** A job that notes its answers. Its rows all begin with `id`, so that a call shows who is in it. */
export class NotedJob implements BatchJob {
  readonly id: number;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
  readonly priority: number;
  readonly deadlineMs: number;
  answers = 0;
  outputs: ReadonlyMap<string, Tensor> | null = null;
  times: BatchTimes | null = null;
  error: unknown = null;
  left = false;
  onAnswer: () => void = () => {};

  constructor(id: number, spec: JobSpec = {}) {
    const { rows = 1, width = 2, priority = 2, deadlineMs = Number.POSITIVE_INFINITY } = spec;
    this.id = id;
    this.rows = rows;
    this.priority = priority;
    this.deadlineMs = deadlineMs;
    const data = new Float32Array(rows * width).fill(id);
    this.inputs = spec.inputs ?? new Map([['x', { datatype: 'FP32', shape: [rows, width], data }]]);
  }

  gone(): boolean {
    return this.left;
  }

  done(outputs: ReadonlyMap<string, Tensor>, times: BatchTimes): void {
    this.answers += 1;
    this.outputs = outputs;
    this.times = times;
    this.onAnswer();
  }

  failed(error: unknown): void {
    this.answers += 1;
    this.error = error;
    this.onAnswer();
  }

  /** 'done', the code of its refusal, the error's message, or 'open'. */
  get state(): string {
    if (this.answers === 0) return 'open';
    if (this.answers > 1) return `answered ${this.answers} times`;
    if (this.error instanceof OipError) return this.error.code;
    return this.error === null ? 'done' : String(this.error);
  }
}

export function states(jobs: readonly NotedJob[]): string[] {
  return jobs.map(({ state }) => state);
}

/** Lets everything run that a promise had ready. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}
