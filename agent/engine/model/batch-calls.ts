import type { Batch } from './batch.ts';
import { concatInputs, isRowWise, RowSplitter } from './batch-concat.ts';
import type { BatchJob } from './batch-job.ts';
import { refuse, refuseStale, throwLater } from './batch-refusal.ts';
import type { Session, Tensor } from './runtime.ts';

/** Weight of the newest call in the moving average of their time. */
const NEWEST = 0.1;
/** Shared calls in a row that failed though each of their jobs succeeds alone, until jobs go alone for a while. */
const MAX_BLAMELESS = 3;
/** How long; then one shared call is tried again, and one more of that kind ends it for as long. */
export const ALONE_MS = 60_000;

type Outputs = Map<string, Tensor>;
export type RunSync = (inputs: ReadonlyMap<string, Tensor>) => Outputs;

/**
 * Brings batches to the session and their rows back to the jobs, in their order. What fails together is run again
 * one by one, so that only the job that is at fault gets the error.
 */
export class BatchCalls {
  readonly #session: Session;
  readonly #maxRows: number;
  /** Until then each job has a call of its own, on the clock of `performance.now()`; 0 while calls are shared. */
  #aloneUntilMs = 0;
  #blameless = 0;
  /** When the last call within a turn ended. */
  #endedMs = 0;
  #running = 0;
  #lanesTaken = 0;
  #jobMs = 0;

  constructor(session: Session, maxRows: number) {
    this.#session = session;
    this.#maxRows = maxRows;
  }

  /** Jobs that are being computed. */
  get running(): number {
    return this.#running;
  }

  /** Calls on their way. */
  get lanesTaken(): number {
    return this.#lanesTaken;
  }

  /** Time of a call by the jobs it carried, in milliseconds, as a moving average; 0 before the first. */
  get jobMs(): number {
    return this.#jobMs;
  }

  /** Rows that a call may carry: 1 while the model has shown that jobs can't share one. */
  get maxRows(): number {
    const alone = this.#aloneUntilMs !== 0 && performance.now() < this.#aloneUntilMs;
    return alone ? 1 : this.#maxRows;
  }

  /** Within this turn; returns the time at its end. Never throws. */
  runSync(batch: Batch, run: RunSync): number {
    const { jobs, rows } = batch;
    this.#running = jobs.length;
    if (jobs.length === 1) this.#singleSync(jobs[0], run);
    else {
      const startedMs = performance.now();
      const outputs = attempt(run, jobs, rows);
      const endedMs = performance.now();
      this.#endedMs = endedMs;
      if (this.#splits(outputs, rows)) this.#handOut(batch, outputs, startedMs, endedMs);
      else this.#singlySync(jobs, run);
    }
    this.#running = 0;
    return this.#endedMs;
  }

  /** `freed` is called once, when the lane is free again and before the answers are handed out. Never throws. */
  run(batch: Batch, freed: () => void): void {
    const { jobs, rows } = batch;
    this.#running += jobs.length;
    this.#lanesTaken += 1;
    const done = () => {
      this.#running -= jobs.length;
      this.#lanesTaken -= 1;
      freed();
    };
    if (jobs.length === 1) {
      this.#single(jobs[0], done);
      return;
    }
    const startedMs = performance.now();
    const singly = () => this.#singly(jobs).then(done, throwLater);
    startTogether(this.#session, jobs, rows).then((outputs) => {
      if (!this.#splits(outputs, rows)) {
        singly();
        return;
      }
      const endedMs = performance.now();
      done();
      this.#handOut(batch, outputs, startedMs, endedMs);
    }, singly);
  }

  /** Did it succeed? */
  #singleSync(job: BatchJob, run: RunSync): boolean {
    const startedMs = performance.now();
    let outputs: Outputs;
    try {
      outputs = run(job.inputs);
    } catch (error) {
      refuse(job, error);
      this.#endedMs = performance.now();
      return false;
    }
    const endedMs = performance.now();
    this.#endedMs = endedMs;
    this.#answer(job, outputs, startedMs, endedMs);
    return true;
  }

  #singlySync(jobs: readonly BatchJob[], run: RunSync): void {
    let succeeded = 0;
    let failed = 0;
    for (const job of jobs) {
      if (refuseStale(job, this.#endedMs)) continue;
      if (this.#singleSync(job, run)) succeeded += 1;
      else failed += 1;
    }
    this.#judge(jobs.length, succeeded, failed);
  }

  /** Did it succeed? */
  #single(job: BatchJob, done: () => void): Promise<boolean> {
    const startedMs = performance.now();
    return start(this.#session, job.inputs).then(
      (outputs) => {
        const endedMs = performance.now();
        done();
        this.#answer(job, outputs, startedMs, endedMs);
        return true;
      },
      (error: unknown) => {
        done();
        refuse(job, error);
        return false;
      },
    );
  }

  /** One after the other on the lane of the call that failed. */
  async #singly(jobs: readonly BatchJob[]): Promise<void> {
    let succeeded = 0;
    let failed = 0;
    for (const job of jobs) {
      if (refuseStale(job, performance.now())) continue;
      if (await this.#single(job, nothing)) succeeded += 1;
      else failed += 1;
    }
    this.#judge(jobs.length, succeeded, failed);
  }

  /**
   * A model with a fixed size inside fails every shared call: found here, or each would be paid for twice. A job that
   * was not run alone may have been the one at fault: with it nothing is known, or a client that sends bad rows and
   * leaves could end sharing for everyone.
   */
  #judge(jobs: number, succeeded: number, failed: number): void {
    if (failed > 0) this.#blameless = 0;
    if (succeeded < jobs) return;
    this.#blameless += 1;
    if (this.#blameless >= MAX_BLAMELESS) this.#aloneUntilMs = performance.now() + ALONE_MS;
  }

  /** Can these outputs be shared out? */
  #splits(outputs: Outputs | null, rows: number): outputs is Outputs {
    if (outputs === null) return false;
    if (isRowWise(outputs, rows)) {
      this.#blameless = 0;
      return true;
    }
    // Tried again, its rows might add up by chance, and be handed to the wrong jobs.
    this.#aloneUntilMs = Number.POSITIVE_INFINITY;
    return false;
  }

  #handOut({ jobs, rows }: Batch, outputs: Outputs, startedMs: number, endedMs: number): void {
    this.#took(endedMs - startedMs, jobs.length);
    const parts = new RowSplitter(outputs, rows);
    let times = { startedMs, endedMs, batchRows: rows, first: true };
    for (let i = 0; i < jobs.length; i += 1) {
      const job = jobs[i];
      const part = parts.take(job.rows);
      try {
        job.done(part, times);
      } catch (thrown) {
        throwLater(thrown);
      }
      if (i === 0) times = { startedMs, endedMs, batchRows: rows, first: false };
    }
  }

  #answer(job: BatchJob, outputs: Outputs, startedMs: number, endedMs: number): void {
    this.#took(endedMs - startedMs, 1);
    try {
      job.done(outputs, { startedMs, endedMs, batchRows: job.rows, first: true });
    } catch (thrown) {
      throwLater(thrown);
    }
  }

  #took(callMs: number, jobs: number): void {
    const jobMs = callMs / jobs;
    this.#jobMs = this.#jobMs === 0 ? jobMs : this.#jobMs + NEWEST * (jobMs - this.#jobMs);
  }
}

function nothing(): void {}

/** Null for a call that failed: whose fault it was, and the error, is found by running the jobs one by one. */
function attempt(run: RunSync, jobs: readonly BatchJob[], rows: number): Outputs | null {
  try {
    return run(concatInputs(jobs, rows));
  } catch {
    return null;
  }
}

function startTogether(session: Session, jobs: readonly BatchJob[], rows: number) {
  try {
    return start(session, concatInputs(jobs, rows));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** A session that throws where it should reject is a call that failed, like any other. */
function start(session: Session, inputs: ReadonlyMap<string, Tensor>): Promise<Outputs> {
  try {
    return session.run(inputs);
  } catch (error) {
    return Promise.reject(error);
  }
}
