import type { Socket } from 'node:net';
import type { PipelineCall } from '../pipeline/step-job.ts';
import type { RequestParameters } from '../serve/request-parameters.ts';
import type { Tensor } from './runtime.ts';

/** One request as the model's queue sees it. Exactly one of `done` and `failed` is called, exactly once. */
export interface BatchJob {
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Rows of its own batch; 0 where its tensors are empty. */
  readonly rows: number;
  /** 1 is the most urgent; equal ones are served in the order in which they came. */
  readonly priority: number;
  /** On the clock of `performance.now()`; `Infinity` for none. */
  readonly deadlineMs: number;
  /** What a pipeline may decide by. */
  readonly parameters?: RequestParameters | null;
  /** Where its client waits; null where nobody else could answer it. */
  readonly connection?: Socket | null;
  /** The pipelines that it is a step of; absent for a client's own request. */
  readonly within?: PipelineCall;
  /** Nobody waits for the answer any more: not worth computing. */
  gone(): boolean;
  done(outputs: ReadonlyMap<string, Tensor>, times: BatchTimes): void;
  /** `OipError` 'overloaded' or 'deadline_exceeded', or whatever the model threw. */
  failed(error: unknown): void;
}

/** When the call that carried a job was made and when it ended, in `performance.now()` milliseconds. */
export interface BatchTimes {
  readonly startedMs: number;
  readonly endedMs: number;
  /** Rows of the whole call, this job's among them; a call counts as one execution for its first job only. */
  readonly batchRows: number;
  readonly first: boolean;
}
