import { InlineBatcher } from './batch-inline.ts';
import type { BatchJob } from './batch-job.ts';
import { LaneBatcher } from './batch-lanes.ts';
import type { Session } from './runtime.ts';

export interface BatcherOptions {
  /** Rows of one call; a job that has as many or more goes alone. 1: every job goes alone. */
  readonly maxBatchSize: number;
  /** How long a job may wait for company beside a free lane while others are computed; 0: never. */
  readonly maxQueueDelayUs: number;
  /** Jobs that may wait; one more is refused. */
  readonly maxQueueRequests: number;
}

/**
 * The queue in front of one session. Jobs are taken by priority, then in the order in which they came; those that
 * follow each other and fit together (the same inputs, equal but for their rows) share a call, and get its rows as
 * views. Every job is answered exactly once:
 *
 *     submit ─▶ waiting ─▶ computing ─▶ done | failed with what the model threw
 *                  │
 *                  └─▶ failed: 'overloaded' (full queue), 'deadline_exceeded' (its time passed, or its client
 *                      left), 'not_ready' (closed)
 *
 * A job that makes the call of several fail is found by running them one by one. A model that fails several shared calls
 * in a row though each job succeeds alone gets no other for a while; one whose outputs are not by row is noticed at its
 * first shared call, and gets no other.
 */
export class Batcher {
  readonly #way: InlineBatcher | LaneBatcher;

  constructor(session: Session, options: BatcherOptions) {
    this.#way =
      session.lanes === 0 ? new InlineBatcher(session, options) : new LaneBatcher(session, options);
  }

  /** Never throws, and never answers a job that it can compute before it returns. */
  submit(job: BatchJob): void {
    this.#way.submit(job);
  }

  /** Jobs waiting, not yet computing. */
  get queued(): number {
    return this.#way.queued;
  }

  /** Jobs being computed. */
  get running(): number {
    return this.#way.running;
  }

  /** Fails what waits, and what is submitted from now on, with 'not_ready'. What is being computed is answered. */
  close(): void {
    this.#way.close();
  }
}
