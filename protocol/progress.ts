import { z } from 'zod';
import { digestSchema, timestampSchema } from './ids.ts';
import { MAX_ARTIFACT_BYTES } from './limits.ts';

/** A host downloads two files at a time unless it is told otherwise, and sixteen at most. */
export const MAX_REPORTED_DOWNLOADS = 16;

export const downloadProgressSchema = z.object({
  /** Of the version. */
  manifest: digestSchema,
  /** Of the file. */
  digest: digestSchema,
  /** Here already: downloaded, or taken from what the host had. */
  doneBytes: z.int().min(0).max(MAX_ARTIFACT_BYTES),
  totalBytes: z.int().min(0).max(MAX_ARTIFACT_BYTES),
});
export type DownloadProgress = z.infer<typeof downloadProgressSchema>;

/** What a host downloads: a full snapshot, at most once a second, and an empty one when all has come. */
export const progressMessageSchema = z.object({
  kind: z.literal('progress'),
  at: timestampSchema,
  downloads: z.array(downloadProgressSchema).max(MAX_REPORTED_DOWNLOADS),
});
export type ProgressMessage = z.infer<typeof progressMessageSchema>;
