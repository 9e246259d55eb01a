/**
 * Environment of processes that open models, read by glibc when they start. By default glibc raises the size from which
 * a block is a mapping of its own to that of the largest one freed, up to 32 MiB: from the second model on, its weights
 * come from heaps that neither shrink nor pack well. 20 swaps of a 200 MB model, RSS over that of the first cycle: inline
 * up to 46% without this, 2% with it; on workers 14% in single cycles, and 2%. Other C libraries ignore it.
 */
export const NATIVE_MEMORY_ENVIRONMENT = {
  MALLOC_MMAP_THRESHOLD_: String(4 * 2 ** 20),
  /** What glibc would keep by itself: twice the above. */
  MALLOC_TRIM_THRESHOLD_: String(8 * 2 ** 20),
} as const;
