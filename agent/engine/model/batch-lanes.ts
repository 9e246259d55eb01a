import { Batch } from './batch.ts';
import { BatchAlarm } from './batch-alarm.ts';
import { BatchCalls } from './batch-calls.ts';
import { batchable } from './batch-concat.ts';
import { Deadlines } from './batch-deadlines.ts';
import type { BatchJob } from './batch-job.ts';
import { BatchQueue } from './batch-queue.ts';
import { closed, expired, left, Overload, refuse, refuseStale } from './batch-refusal.ts';
import type { BatcherOptions } from './batcher.ts';
import type { Session } from './runtime.ts';

/** Deadlines answered in one turn of the event loop; a burst that expires at once shall not stop everyone else. */
const MAX_EXPIRED_PER_TURN = 256;
/** Answered jobs that stay in the queue beyond as many as wait, before it is cleared of them. */
const DEAD_SLACK = 64;

/** A job in the queue. */
interface Waiting {
  readonly job: BatchJob;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  heapAt: number;
  /** Answered already, at its deadline; the queue finds out when it comes to it. */
  answered: boolean;
}

/**
 * In front of a session with threads of its own. A free lane takes a job at once; when all are busy jobs wait, and
 * the next free lane takes as many as one call may carry. A lane that is free beside busy ones may hold back a batch
 * that is not full for `maxQueueDelayUs`.
 */
export class LaneBatcher {
  readonly #queue = new BatchQueue<Waiting>();
  readonly #deadlines = new Deadlines<Waiting>();
  readonly #calls: BatchCalls;
  readonly #lanes: number;
  readonly #delayMs: number;
  readonly #bound: number;
  readonly #overload: Overload;
  readonly #deadlineAlarm = new BatchAlarm('coarse', () => this.#expire());
  readonly #delayAlarm = new BatchAlarm('fine', () => this.#pump());
  /** In the queue and not answered; and their rows. */
  #live = 0;
  #liveRows = 0;
  /** Jobs that came since the queue was last searched for clients that left. */
  #sinceSearch = 0;
  #state: 'open' | 'pumping' | 'closed' = 'open';

  constructor(session: Session, options: BatcherOptions) {
    this.#calls = new BatchCalls(session, options.maxBatchSize);
    this.#lanes = session.lanes;
    this.#delayMs = options.maxQueueDelayUs / 1000;
    this.#bound = options.maxQueueRequests;
    this.#overload = new Overload(options.maxQueueRequests);
  }

  get queued(): number {
    return this.#live;
  }

  get running(): number {
    return this.#calls.running;
  }

  submit(job: BatchJob): void {
    if (this.#state === 'closed') {
      refuse(job, closed());
      return;
    }
    const nowMs = performance.now();
    if (refuseStale(job, nowMs)) return;
    const free = this.#state === 'open' && this.#calls.lanesTaken < this.#lanes;
    if (free && this.#live === 0 && !this.#mayWait(job, job.rows, nowMs, nowMs)) {
      const batch = new Batch(1);
      batch.add(job);
      this.#calls.run(batch, this.#freed);
      return;
    }
    this.#sinceSearch += 1;
    if (this.#live >= this.#bound && !this.#makeRoom()) {
      refuse(job, this.#overload.error((this.#calls.jobMs * this.#live) / this.#lanes));
      return;
    }
    this.#enqueue(job, nowMs);
    if (free) this.#pump();
  }

  close(): void {
    this.#state = 'closed';
    this.#deadlineAlarm.clear();
    this.#delayAlarm.clear();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (next.answered) continue;
      this.#leave(next);
      refuse(next.job, closed());
    }
  }

  #enqueue(job: BatchJob, nowMs: number): void {
    const { deadlineMs, priority, rows } = job;
    const waiting = { job, sinceMs: nowMs, deadlineMs, heapAt: -1, answered: false };
    this.#queue.push(waiting, priority);
    this.#live += 1;
    this.#liveRows += rows;
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
    this.#deadlines.add(waiting);
    this.#deadlineAlarm.set(this.#deadlines.earliestMs, nowMs);
  }

  /** What leaves the queue, or is answered in it, stops counting. */
  #leave(waiting: Waiting): void {
    this.#deadlines.remove(waiting);
    this.#live -= 1;
    this.#liveRows -= waiting.job.rows;
  }

  readonly #freed = (): void => this.#pump();

  /** Gives free lanes their work. Receivers that submit from within are queued, and seen by the loop. */
  #pump(): void {
    if (this.#state !== 'open') return;
    this.#state = 'pumping';
    while (this.#live > 0 && this.#calls.lanesTaken < this.#lanes) {
      const nowMs = performance.now();
      const head = this.#head();
      if (head === undefined) break;
      if (this.#mayWait(head.job, this.#liveRows, head.sinceMs, nowMs)) {
        this.#delayAlarm.set(head.sinceMs + this.#delayMs, nowMs);
        break;
      }
      const batch = this.#take(nowMs);
      if (batch.jobs.length > 0) this.#calls.run(batch, this.#freed);
    }
    if (this.#live === 0) {
      this.#deadlineAlarm.clear();
      this.#delayAlarm.clear();
    }
    this.#reopen();
  }

  #reopen(): void {
    // A receiver may have closed it from within.
    if (this.#state === 'pumping') this.#state = 'open';
  }

  /** May the batch that begins with `job` be held back for company? Never when nothing is being computed. */
  #mayWait(job: BatchJob, rows: number, sinceMs: number, nowMs: number): boolean {
    if (this.#delayMs === 0 || this.#calls.lanesTaken === 0) return false;
    const { maxRows } = this.#calls;
    return rows < maxRows && nowMs < sinceMs + this.#delayMs && batchable(job);
  }

  #head(): Waiting | undefined {
    let head = this.#queue.peek();
    while (head?.answered) {
      this.#queue.shift();
      head = this.#queue.peek();
    }
    return head;
  }

  #take(nowMs: number): Batch {
    const batch = new Batch(this.#calls.maxRows);
    while (!batch.full) {
      const next = this.#head();
      if (next === undefined || !batch.admits(next.job)) break;
      this.#queue.shift();
      this.#leave(next);
      if (!refuseStale(next.job, nowMs)) batch.add(next.job);
    }
    return batch;
  }

  /** Answers what is due, whatever the lanes do. */
  #expire(): void {
    const nowMs = performance.now();
    for (let i = 0; i < MAX_EXPIRED_PER_TURN; i += 1) {
      const due = this.#deadlines.takeDue(nowMs);
      if (due === undefined) break;
      due.answered = true;
      this.#leave(due);
      refuse(due.job, expired(due.deadlineMs, nowMs));
    }
    if (this.#live === 0) this.#delayAlarm.clear();
    // Under more urgent load the queue may never come to its dead: bounded here, at O(1) for each.
    if (this.#queue.size > 2 * this.#live + DEAD_SLACK) this.#queue.retain(isLive);
    if (this.#deadlines.earliestMs !== Number.POSITIVE_INFINITY) {
      this.#deadlineAlarm.set(this.#deadlines.earliestMs, nowMs);
    }
  }

  /**
   * Answers those whose clients left, before a living one is refused for them; whether there is room now. Searched
   * once for as many jobs as came, so that an overloaded queue is not read through for each.
   */
  #makeRoom(): boolean {
    if (this.#sinceSearch < this.#live) return false;
    this.#sinceSearch = 0;
    const gone: Waiting[] = [];
    this.#queue.retain((waiting) => {
      if (waiting.answered) return false;
      if (!waiting.job.gone()) return true;
      waiting.answered = true;
      gone.push(waiting);
      return false;
    });
    for (const waiting of gone) {
      this.#leave(waiting);
      refuse(waiting.job, left());
    }
    return this.#live < this.#bound;
  }
}

function isLive(waiting: Waiting): boolean {
  return !waiting.answered;
}
