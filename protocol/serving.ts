import { z } from 'zod';
import { detailSchema } from './error.ts';
import { featureLookupSchema } from './feature-lookup.ts';
import { MAX_BATCH_ROWS, MAX_QUEUE_REQUESTS } from './limits.ts';

/** What may execute a model on a host, as ONNX Runtime calls it. */
export const providerSchema = z.enum(['cuda', 'tensorrt', 'webgpu', 'cpu']);
export type Provider = z.infer<typeof providerSchema>;

export const batchingSchema = z.strictObject({
  /** Rows of one call of the model; 1 turns batching off. A caller's own batch counts towards it. */
  maxBatchSize: z.int().min(1).max(MAX_BATCH_ROWS).optional(),
  /** How long a request may wait for company while others are being computed. Never waited when idle. */
  maxQueueDelayUs: z.int().min(0).max(1_000_000).optional(),
  /** Requests that may wait in one engine; one more is answered 503 with Retry-After. */
  maxQueueRequests: z.int().min(1).max(MAX_QUEUE_REQUESTS).optional(),
  /** Deadline of requests that state none. */
  timeoutUs: z.int().min(1).max(3_600_000_000).optional(),
});
export type Batching = z.infer<typeof batchingSchema>;

/** How hosts execute a deployment. What is not given is chosen by each host, from what it measures at warm-up. */
export const servingSchema = z.strictObject({
  batching: batchingSchema.optional(),
  /** `inline`: in the thread that serves requests; `worker`: in threads beside it. */
  placement: z.enum(['auto', 'inline', 'worker']).optional(),
  /** Threads with a session each, per engine process, where the model is placed on workers. */
  workers: z.int().min(1).max(64).optional(),
  /** Threads inside one operator of one session. */
  intraOpThreads: z.int().min(1).max(64).optional(),
  /** Tried in this order; the first that opens the model and agrees with its golden vectors is used. */
  providers: z
    .array(providerSchema)
    .min(1)
    .max(4)
    .refine((list) => new Set(list).size === list.length, { message: 'a provider is named twice' })
    .optional(),
  /** Engine processes this deployment asks of a host; a host runs the most that any of its deployments asks for. */
  engines: z.int().min(1).max(64).optional(),
  /** Columns that hosts fetch by keys in the request, before the model. */
  features: featureLookupSchema.optional(),
});
export type Serving = z.infer<typeof servingSchema>;

/** The part of `Serving` that decides how sessions are opened: two deployments with equal ones share theirs. */
export type Execution = Pick<Serving, 'placement' | 'workers' | 'intraOpThreads' | 'providers'>;

export function executionOf(serving: Serving): Execution {
  const { placement, workers, intraOpThreads, providers } = serving;
  return { placement, workers, intraOpThreads, providers };
}

/** Equal for equal executions, whatever the order in which they were written. */
export function executionKey(execution: Execution): string {
  const { placement, workers, intraOpThreads, providers } = execution;
  return [placement ?? 'auto', workers ?? '', intraOpThreads ?? '', providers?.join() ?? ''].join(
    '|',
  );
}

/** Values of `over`, and where it has none those of `under`. */
export function mergeServing(under: Serving, over: Serving): Serving {
  const batching = { ...under.batching, ...over.batching };
  const merged = { ...under, ...over };
  // Parsed again for its order of keys: documents are told apart by the hash of their text.
  return servingSchema.parse(
    Object.keys(batching).length === 0
      ? { ...merged, batching: undefined }
      : { ...merged, batching },
  );
}

/** Where and on what a version really runs on a host, and what that was decided from. */
export const placementSchema = z.object({
  kind: z.enum(['inline', 'worker']),
  provider: providerSchema,
  /** Providers that were tried before it, and why they are not used. */
  refused: z.array(z.object({ provider: providerSchema, reason: detailSchema })).max(4),
  /** Threads with a session each, in each engine; 0 when inline. */
  workers: z.int().min(0).max(1024),
  intraOpThreads: z.int().min(0).max(1024),
  /** Median time of one call of one row at warm-up, in microseconds; null when nothing could be run. */
  runUs: z.number().min(0).nullable(),
  /** Nodes of the graph by what ran them, where the provider may leave some to the CPU. */
  nodes: z.record(z.string().max(128), z.int().min(0)).nullable(),
  /** `typescript`: small calls are answered by our own executor, which agreed with ONNX Runtime. */
  executor: z.enum(['onnxruntime', 'typescript']),
});
export type ReportedPlacement = z.infer<typeof placementSchema>;
