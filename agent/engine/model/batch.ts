import { batchable, fitsWith } from './batch-concat.ts';
import type { BatchJob } from './batch-job.ts';

/** The jobs of one call while they are collected. */
export class Batch {
  readonly jobs: BatchJob[] = [];
  /** Of all jobs together. */
  rows = 0;
  readonly #maxRows: number;
  #shared = false;

  /** `maxRows` 1: a call carries one job. A job of `maxRows` or more always has a call of its own. */
  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  get full(): boolean {
    return this.jobs.length > 0 && (!this.#shared || this.rows >= this.#maxRows);
  }

  admits(job: BatchJob): boolean {
    if (this.jobs.length === 0) return true;
    return this.#shared && this.rows + job.rows <= this.#maxRows && fitsWith(this.jobs[0], job);
  }

  add(job: BatchJob): void {
    if (this.jobs.length === 0) this.#shared = job.rows < this.#maxRows && batchable(job);
    this.jobs.push(job);
    this.rows += job.rows;
  }
}
