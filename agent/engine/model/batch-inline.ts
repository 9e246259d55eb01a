import { Batch } from './batch.ts';
import { BatchCalls, type RunSync } from './batch-calls.ts';
import type { BatchJob } from './batch-job.ts';
import { BatchQueue } from './batch-queue.ts';
import { closed, Overload, refuse, refuseStale } from './batch-refusal.ts';
import type { BatcherOptions } from './batcher.ts';
import type { Session } from './runtime.ts';

/** Calls go on this long in one turn of the event loop; then what came in meanwhile is read, which may be more urgent. */
const MAX_TURN_MS = 5;

/**
 * In front of a session that blocks the thread. What one turn of the event loop reads is gathered and computed at its
 * end, all reading before all computing before all writing. While the thread computes nothing arrives and no timer
 * fires, so there is nothing to wait for and no timer.
 */
export class InlineBatcher {
  readonly #queue = new BatchQueue<BatchJob>();
  readonly #calls: BatchCalls;
  readonly #runSync: RunSync | null;
  readonly #bound: number;
  readonly #overload: Overload;
  #state: 'idle' | 'gathering' | 'closed' = 'idle';

  constructor(session: Session, options: BatcherOptions) {
    this.#calls = new BatchCalls(session, options.maxBatchSize);
    this.#runSync = session.runSync?.bind(session) ?? null;
    this.#bound = options.maxQueueRequests;
    this.#overload = new Overload(options.maxQueueRequests);
  }

  get queued(): number {
    return this.#queue.size;
  }

  get running(): number {
    return this.#calls.running;
  }

  submit(job: BatchJob): void {
    if (this.#state === 'closed') refuse(job, closed());
    else if (this.#queue.size >= this.#bound) {
      refuse(job, this.#overload.error(this.#calls.jobMs * this.#queue.size));
    } else {
      this.#queue.push(job, job.priority);
      if (this.#state === 'gathering') return;
      this.#state = 'gathering';
      setImmediate(this.#turn);
    }
  }

  close(): void {
    this.#state = 'closed';
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      refuse(job, closed());
    }
  }

  readonly #turn = (): void => {
    const run = this.#runSync;
    if (run === null) {
      this.#callNext();
      return;
    }
    let nowMs = performance.now();
    const untilMs = nowMs + MAX_TURN_MS;
    while (this.#queue.size > 0) {
      if (nowMs > untilMs) {
        setImmediate(this.#turn);
        return;
      }
      const batch = this.#take(nowMs);
      if (batch.jobs.length > 0) nowMs = this.#calls.runSync(batch, run);
    }
    this.#rest();
  };

  /** One call at a time: what is submitted while it is on its way makes the next. */
  readonly #callNext = (): void => {
    while (this.#queue.size > 0) {
      const batch = this.#take(performance.now());
      if (batch.jobs.length === 0) continue;
      this.#calls.run(batch, this.#afterAnswers);
      return;
    }
    this.#rest();
  };

  /** The next call may block at once, so the answers of this one are written before it. */
  readonly #afterAnswers = (): void => queueMicrotask(this.#callNext);

  #rest(): void {
    if (this.#state !== 'closed') this.#state = 'idle';
  }

  #take(nowMs: number): Batch {
    const batch = new Batch(this.#calls.maxRows);
    while (!batch.full) {
      const next = this.#queue.peek();
      if (next === undefined || !batch.admits(next)) break;
      this.#queue.shift();
      if (!refuseStale(next, nowMs)) batch.add(next);
    }
    return batch;
  }
}
