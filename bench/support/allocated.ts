import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Long enough for the compiler to have done its work. */
const WARM_CALLS = 200;
const CALLS = 40;
const TRIES = 7;

/**
 * Bytes on the heap that one call leaves behind, garbage included. The smallest of several tries: whatever else the
 * process allocates meanwhile can only add.
 */
export function allocatedPerCall(call: () => void): number {
  // The function must be there before anybody asks for it; `--expose-gc` of the command line would do the same.
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  for (let at = 0; at < WARM_CALLS; at += 1) call();
  let least = Infinity;
  for (let again = 0; again < TRIES; again += 1) {
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let at = 0; at < CALLS; at += 1) call();
    least = Math.min(least, (process.memoryUsage().heapUsed - before) / CALLS);
  }
  return least;
}
