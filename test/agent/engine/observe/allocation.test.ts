import { expect, it } from 'vitest';
import { Recorder } from '../../../../agent/engine/observe/recorder.ts';
import { allocatedPerCall } from '../../../../bench/support/allocated.ts';
import { answeredRequests, MANIFEST, recordedGrids } from '../../../../bench/support/recorded.ts';

const REQUESTS = 512;
const BATCH = 64;

/**
 * A number in a box of its own has 16 bytes. Two of them a row, of the score and the duration, are what the compiler
 * leaves when it does not take a call into its caller; a box or an object for each of 16 columns would be 256 or more.
 */
const TWO_BOXED_NUMBERS = 40;

it.each([1, BATCH])(
  'counting %i answers at a time allocates nothing for a value, and no object for a row',
  (size) => {
    const recorder = new Recorder('d', '', 'stable', MANIFEST, recordedGrids());
    const requests = answeredRequests(REQUESTS);
    const batches = Array.from({ length: REQUESTS / size }, (_, at) =>
      requests.slice(at * size, (at + 1) * size),
    );
    const bytes = allocatedPerCall(() => {
      for (let at = 0; at < batches.length; at += 1) recorder.answered(batches[at]);
    });
    expect(bytes / REQUESTS).toBeLessThan(TWO_BOXED_NUMBERS);
  },
);
