import { z } from 'zod';

/**
 * Raised whenever the executor may compute another value than before, for any model. A record of another version then
 * says nothing about it, and ONNX Runtime answers until the version is pushed anew.
 *
 * 1: trees, small dense networks.
 */
export const EXECUTOR_VERSION = 1;

/** How long a reason may be that is kept with a version. */
const MAX_REASON = 500;

/**
 * How the executor compared with ONNX Runtime on every row of the baseline, kept beside the golden rows, in the file
 * whose digest the manifest names: hosts have no baseline to compare on.
 */
export const executorRecordSchema = z.object({
  version: z.int().min(1),
  /** Rows compared; 0 for a model that the executor can't run. */
  rows: z.int().min(0),
  /** Null where there is none to tell, because they differ or nothing was compared. */
  largestDifference: z.number().min(0).nullable(),
  agrees: z.boolean(),
  /** Why not. */
  reason: z.string().max(MAX_REASON).optional(),
});
export type ExecutorRecord = z.infer<typeof executorRecordSchema>;

/** A record of this executor that says no. */
export function disagreement(rows: number, reason: string): ExecutorRecord {
  const told = reason.slice(0, MAX_REASON);
  return { version: EXECUTOR_VERSION, rows, largestDifference: null, agrees: false, reason: told };
}

/**
 * May this executor be tried for a version? Without a record, of versions that were described before there were any,
 * what the host can check by itself decides.
 */
export function mayExecute(record: ExecutorRecord | undefined): boolean {
  return record === undefined || (record.agrees && record.version === EXECUTOR_VERSION);
}
