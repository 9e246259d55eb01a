import { expect, it } from 'vitest';
import { Recorder } from '../../../../agent/engine/observe/recorder.ts';
import { allocatedPerCall } from '../../../../bench/support/allocated.ts';
import { answeredRequests, MANIFEST, recordedGrids } from '../../../../bench/support/recorded.ts';

const REQUESTS = 512;
const BATCH = 64;

/** A number in a box of its own has 16 bytes, an empty array as many. */
const LESS_THAN_ONE_OBJECT_IN_TEN_ROWS = 1.6;

it.each([1, BATCH])('counting %i answers at a time allocates nothing for a row', (size) => {
  const recorder = new Recorder('d', '', 'stable', MANIFEST, recordedGrids());
  const requests = answeredRequests(REQUESTS);
  const batches = Array.from({ length: REQUESTS / size }, (_, at) =>
    requests.slice(at * size, (at + 1) * size),
  );
  const bytes = allocatedPerCall(() => {
    for (let at = 0; at < batches.length; at += 1) recorder.answered(batches[at]);
  });
  expect(bytes / REQUESTS).toBeLessThan(LESS_THAN_ONE_OBJECT_IN_TEN_ROWS);
});
