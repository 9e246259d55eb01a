import { setFlagsFromString } from 'node:v8';

/** How far the heap may grow between two full collections, by what lives. */
const GROWING_PERCENT = 40;

/**
 * Keeps the heap small. Left alone V8 lets it grow to up to four times of what lives, by how fast memory is taken: each
 * rollback of a large fleet takes 100 MB within a second, and what the heap has grown to then it keeps for the hours until
 * the next.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
}
