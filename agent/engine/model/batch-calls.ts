import type { Batch } from './batch.ts';
import { concatInputs, isRowWise, RowSplitter } from './batch-concat.ts';
import type { BatchJob } from './batch-job.ts';
import { refuse, refuseStale, throwLater } from './batch-refusal.ts';
import type { Session, Tensor } from './runtime.ts';

/** Weight of the newest call in the moving average of their time. */
const NEWEST = 0.1;
/** Shared calls in a row that failed though each of their jobs succeeds alone, until the model gets no others. */
const MAX_BLAMELESS = 3;

type Outputs = Map<string, Tensor>;
export type RunSync = (inputs: ReadonlyMap<string, Tensor>) => Outputs;

/**
 * Brings batches to the session and their rows back to the jobs, in their order. What fails together is run again
 * one by one, so that only the job that is at fault gets the error.
 */
export class BatchCalls {
  readonly #session: Session;
  readonly #maxRows: number;
  #shares = true;
  #blameless = 0;
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

  /** Rows that a call may carry: 1 once the model has shown that jobs can't share one. */
  get maxRows(): number {
    return this.#shares ? this.#maxRows : 1;
  }

  /** Within this turn; returns the time at its end. Never throws. */
  runSync(batch: Batch, run: RunSync): number {
    const { jobs, rows } = batch;
    this.#running = jobs.length;
    let endedMs = 0;
    if (jobs.length === 1) endedMs = this.#singleSync(jobs[0], run);
    else {
      const startedMs = performance.now();
      const outputs = attempt(run, jobs, rows);
      endedMs = performance.now();
      if (this.#splits(outputs, rows)) this.#handOut(batch, outputs, startedMs, endedMs);
      else endedMs = this.#singlySync(jobs, run, endedMs);
    }
    this.#running = 0;
    return endedMs;
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

  #singleSync(job: BatchJob, run: RunSync): number {
    const startedMs = performance.now();
    let outputs: Outputs;
    try {
      outputs = run(job.inputs);
    } catch (error) {
      this.#blameless = 0;
      refuse(job, error);
      return performance.now();
    }
    const endedMs = performance.now();
    this.#answer(job, outputs, startedMs, endedMs);
    return endedMs;
  }

  #singlySync(jobs: readonly BatchJob[], run: RunSync, sinceMs: number): number {
    this.#blameless += 1;
    let nowMs = sinceMs;
    for (const job of jobs) if (!refuseStale(job, nowMs)) nowMs = this.#singleSync(job, run);
    this.#judge();
    return nowMs;
  }

  #single(job: BatchJob, done: () => void): Promise<void> {
    const startedMs = performance.now();
    return start(this.#session, job.inputs).then(
      (outputs) => {
        const endedMs = performance.now();
        done();
        this.#answer(job, outputs, startedMs, endedMs);
      },
      (error: unknown) => {
        this.#blameless = 0;
        done();
        refuse(job, error);
      },
    );
  }

  /** One after the other on the lane of the call that failed. */
  async #singly(jobs: readonly BatchJob[]): Promise<void> {
    this.#blameless += 1;
    for (const job of jobs) {
      if (!refuseStale(job, performance.now())) await this.#single(job, nothing);
    }
    this.#judge();
  }

  /** A model with a fixed size inside fails every shared call: found here, or each would be paid for twice. */
  #judge(): void {
    if (this.#blameless >= MAX_BLAMELESS) this.#shares = false;
  }

  /** Can these outputs be shared out? */
  #splits(outputs: Outputs | null, rows: number): outputs is Outputs {
    if (outputs === null) return false;
    if (isRowWise(outputs, rows)) {
      this.#blameless = 0;
      return true;
    }
    this.#shares = false;
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
