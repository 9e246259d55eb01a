import { OipError } from '../serve/oip-error.ts';
import type { BatchJob } from './batch-job.ts';

/**
 * Answers a job that is not to be computed any more, and says so: its deadline has passed, or nobody waits for it.
 * `nowMs` on the clock of `performance.now()`.
 */
export function refuseStale(job: BatchJob, nowMs: number): boolean {
  if (job.deadlineMs <= nowMs) {
    refuse(job, expired(job.deadlineMs, nowMs));
    return true;
  }
  if (!job.gone()) return false;
  refuse(job, left());
  return true;
}

export function expired(deadlineMs: number, nowMs: number): OipError {
  return new OipError(
    'deadline_exceeded',
    `the request's timeout ended ${(nowMs - deadlineMs).toFixed(1)} ms before the model was free for it; allow a longer "timeout", or send fewer requests at once`,
  );
}

export function left(): OipError {
  return new OipError('deadline_exceeded', 'the client left before its request was computed');
}

export function closed(): OipError {
  return new OipError('not_ready', 'this version of the model is closed; send the request again');
}

/** Makes the refusals of a full queue; there may be tens of thousands a second, so one error serves many. */
export class Overload {
  readonly #bound: number;
  #last: OipError | null = null;

  constructor(maxQueueRequests: number) {
    this.#bound = maxQueueRequests;
  }

  /** `waitMs`: how long the queue will take to be computed. */
  error(waitMs: number): OipError {
    const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    if (this.#last?.retryAfterSeconds === retryAfterSeconds) return this.#last;
    this.#last = new OipError(
      'overloaded',
      `the queue is full: ${this.#bound} requests wait, the bound of this deployment (maxQueueRequests); come back after ${retryAfterSeconds} s, or give it more engines or workers`,
      { retryAfterSeconds },
    );
    return this.#last;
  }
}

/** A throwing receiver must not cost its neighbours their answers: what it throws is uncaught, but after them. */
export function refuse(job: BatchJob, error: unknown): void {
  try {
    job.failed(error);
  } catch (thrown) {
    throwLater(thrown);
  }
}

export function throwLater(thrown: unknown): void {
  queueMicrotask(() => {
    throw thrown;
  });
}
