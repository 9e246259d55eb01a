import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refusalCounts } from '../../../control-plane/store/refusals.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { emptyOutcome, type OutcomeGrid } from '../../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../../protocol/sketch/outcome-count.ts';
import { emptyWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { encodeFormat1 } from '../../protocol/sketch/older-format.ts';
import { sealed } from '../../protocol/sketch/sealed.ts';
import { MergeFixture } from '../../support/merge-fixture.ts';
import { GRIDS, seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const OUTCOME: OutcomeGrid = { kind: 'binary', axes: [], scoreBins: 64, classes: [] };
const WATCHED = { ...GRIDS, outcome: OUTCOME };
const START = 20_000 * 86_400_000;
const SPAN = [START, START + 86_400_000, 300_000] as const;

let merge: MergeFixture;
beforeEach(async () => {
  merge = await MergeFixture.open(WATCHED);
});
afterEach(() => merge.close());

/** Format 1: as an agent of protocol 1 or 2 encodes it; 3: as one of protocol 3. */
function inFormat(window: WindowSketch, format: number): Uint8Array {
  if (format === 1 && window.outcome === null) return encodeFormat1(window);
  if (format === 3 || format === 4) return encodeWindow(window, format);
  return sealed(encodeWindow(window, 3).subarray(4, -4), format);
}

function labels(joined: number): WindowSketch {
  const outcome = emptyOutcome(OUTCOME);
  const cells = new OutcomeCells(OUTCOME);
  for (let row = 0; row < joined; row += 1) cells.countLabel(outcome, [], 0.9, true, 1);
  outcome.labels.joined = joined;
  return { ...emptyWindow(GRIDS), outcome };
}

const reasons = async () =>
  (await refusalCounts(merge.store.read)).map(({ reason, windows }) => [reason, windows]);

describe('TELEM-9: windows of agents of older protocols', () => {
  it('are merged with newer ones of the same time, whichever came first', async () => {
    const random = seeded(1);
    for (const [at, formats] of [
      [0, [1, 3, 4]],
      [300_000, [4, 3, 1]],
    ] as const) {
      for (const format of formats) {
        const window = syntheticWindow(random, { rows: 7, errors: 1 });
        await merge.add(START + at, inFormat(window, format));
      }
      await merge.add(START + at, labels(5));
      await merge.add(START + at, inFormat(syntheticWindow(random, { rows: 2 }), 1));
    }
    const { total, rows } = await merge.sum(...SPAN);
    expect(rows).toBe(2);
    expect(total).toMatchObject({ rows: 46, requests: 52, errors: 6 });
    expect(total.outcome?.labels.joined).toBe(10);
    expect(merge.refused).toEqual([]);
  });

  it('are refused, with both formats or shapes in the reason, where they cannot be read', async () => {
    const random = seeded(2);
    const good = syntheticWindow(random, { rows: 3 });
    await merge.add(START, inFormat(good, 1));
    const before = await merge.sum(...SPAN);
    await merge.add(START, inFormat(good, 2));
    await merge.add(START, inFormat(labels(1), 1));
    const other = emptyWindow({ ...GRIDS, features: [GRIDS.features[0], GRIDS.features[0]] });
    await merge.add(START, inFormat(other, 1));
    expect(merge.refused.map(({ reason, detail }) => [reason, detail])).toEqual([
      ['damaged', 'format 2: this build reads 1, 3 and 4'],
      ['damaged', expect.stringContaining('bytes after the prediction')],
      ['other-reference', 'cannot merge 2 features into 1'],
    ]);
    expect((await reasons()).sort()).toEqual([
      ['damaged', 2],
      ['other-reference', 1],
    ]);
    expect(await merge.sum(...SPAN)).toEqual(before);
  });
});

describe('FEEDBACK-1: a window of labels', () => {
  it('changes the labels of its window and no other count', async () => {
    // In the format that sums are kept in: read and written again it is the same to the last bit.
    await merge.add(START, inFormat(syntheticWindow(seeded(3), { rows: 9 }), 3));
    const before = await merge.sum(...SPAN);
    await merge.add(START, labels(4));
    const after = await merge.sum(...SPAN);
    expect(after.total.outcome?.labels.joined).toBe(4);
    expect({ ...after.total, outcome: null }).toEqual({ ...before.total, outcome: null });
  });
});
