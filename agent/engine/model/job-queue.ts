import type { BatchJob } from './batch-job.ts';

/** Where an arm's requests go: the queue in front of a session, or what runs a pipeline. */
export interface JobQueue {
  /** Never throws, and never answers a job that it can compute before it returns. */
  submit(job: BatchJob): void;
  /** Jobs waiting, not yet computing. */
  readonly queued: number;
  /** Jobs being computed. */
  readonly running: number;
  /** Fails what waits, and what is submitted from now on, with 'not_ready'. What is being computed is answered. */
  close(): void;
}
