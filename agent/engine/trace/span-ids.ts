import { randomFillSync } from 'node:crypto';

/** Ids come from a pool: a call for each would cost a microsecond of every traced request. */
const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let at = POOL_BYTES;

function randomHex(sizeBytes: number): string {
  if (at + sizeBytes > POOL_BYTES) {
    randomFillSync(pool);
    at = 0;
  }
  const hex = pool.toString('hex', at, at + sizeBytes);
  at += sizeBytes;
  // All zeros is no id; it does not happen twice.
  return /[^0]/.test(hex) ? hex : randomHex(sizeBytes);
}

export const newTraceId = (): string => randomHex(16);
export const newSpanId = (): string => randomHex(8);
