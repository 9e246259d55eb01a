import type { Batching } from '../../../protocol/serving.ts';
import type { BatcherOptions } from './batcher.ts';
import type { Slot } from './slot.ts';

/**
 * Rows that requests of one turn of the event loop may share where nothing else is said. Enough to spread the cost of
 * a call (tens of rows cost what one does), few enough that the last of them is not kept waiting.
 */
export const DEFAULT_INLINE_BATCH = 64;

/** Some seconds of work for any model, and a bound on what a burst can hold in memory. */
export const DEFAULT_QUEUE_REQUESTS = 1024;

/**
 * The batching of a deployment on this host. Requests share a call only where the first dimension of every tensor is
 * free, and by default only where the golden rows showed that rows don't influence each other and the model is short
 * enough to run inline: for long ones sharing gains nothing on a CPU (measured on convnets) and costs latency.
 */
export function batcherOptions(
  batching: Batching,
  slot: Pick<Slot, 'manifest' | 'rowsIndependent' | 'session'>,
): BatcherOptions {
  const { inputs, outputs } = slot.manifest;
  const free = [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
  const unasked = slot.rowsIndependent && slot.session.lanes === 0 ? DEFAULT_INLINE_BATCH : 1;
  return {
    maxBatchSize: free ? (batching.maxBatchSize ?? unasked) : 1,
    maxQueueDelayUs: batching.maxQueueDelayUs ?? 0,
    maxQueueRequests: batching.maxQueueRequests ?? DEFAULT_QUEUE_REQUESTS,
  };
}
