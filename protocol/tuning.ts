import { z } from 'zod';
import { detailSchema } from './error.ts';
import { digestSchema, versionNumberSchema } from './ids.ts';
import { MAX_BATCH_ROWS, MAX_TUNING_ROWS } from './limits.ts';
import { servingSchema } from './serving.ts';

/** One way to run a version, measured on one host. */
export const tuningRowSchema = z.object({
  placement: z.enum(['inline', 'worker']),
  /** Threads with a session each; 0 when inline. */
  workers: z.int().min(0).max(64),
  intraOpThreads: z.int().min(1).max(64),
  /** Rows of one call. */
  batchSize: z.int().min(1).max(MAX_BATCH_ROWS),
  /** Median time of one call that has the host to itself. */
  callUs: z.number().positive().max(1e12),
  /** With as many calls on their way as there are workers. */
  rowsPerSecond: z.number().positive().max(1e12),
});
export type TuningRow = z.infer<typeof tuningRowSchema>;

/** What a host measured of the stable version of a deployment, and what follows from it. */
export const tuningSchema = z.object({
  version: versionNumberSchema,
  manifest: digestSchema,
  cores: z.int().min(1).max(4096),
  /** Requests may share a call; where they may not, only single requests were measured. */
  rowsIndependent: z.boolean(),
  rows: z.array(tuningRowSchema).min(1).max(MAX_TUNING_ROWS),
  recommended: servingSchema,
  /** Why these, in words. */
  reason: detailSchema,
  /** What was not measured and why; null: nothing was left out. */
  leftOut: detailSchema.nullable(),
});
export type Tuning = z.infer<typeof tuningSchema>;
