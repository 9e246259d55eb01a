import { afterEach, beforeEach, expect, it } from 'vitest';
import { HOUR_MS, WEEK_MS } from '../../../control-plane/decide/seasonal.ts';
import { SeasonalReferences } from '../../../control-plane/decide/seasonal-references.ts';
import { MANIFEST, MergeFixture } from '../../support/merge-fixture.ts';
import { GRIDS, seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const FIRST = 3000 * WEEK_MS;
/** Ten in the evening of some day. */
const EVENING = FIRST + 22 * HOUR_MS;

let fixture: MergeFixture;
beforeEach(async () => {
  fixture = await MergeFixture.open();
});
afterEach(() => fixture.close());

it('an hour is compared with the same hour of the first weeks, once there are two with enough rows', async () => {
  const random = seeded(1);
  const seasonal = new SeasonalReferences(fixture.store);
  const at = (week: number) => {
    const startMs = EVENING + week * WEEK_MS;
    return seasonal.of('d', MANIFEST, GRIDS, { startMs, endMs: startMs + 300_000 });
  };
  expect(await at(0)).toBeNull();
  await fixture.add(FIRST, syntheticWindow(random, { rows: 10 }));
  for (const week of [0, 1, 2, 3, 4, 5]) {
    const evening = syntheticWindow(random, { rows: 800, inputShift: 2 });
    const morning = syntheticWindow(random, { rows: 800, inputShift: -2 });
    await fixture.add(EVENING + week * WEEK_MS, evening);
    await fixture.add(EVENING + week * WEEK_MS - 12 * HOUR_MS, morning);
  }
  await fixture.retention.roll();
  expect(await at(1)).toBeNull();
  const reference = await at(2);
  expect(reference?.rows).toBe(1_600);
  const [x] = reference?.features ?? [];
  expect(x.kind === 'numeric' && x.moments.mean).toBeCloseTo(2, 0);
  expect((await at(4))?.rows).toBe(3_200);
  // The fifth week is compared with the first four, and so is the fiftieth.
  expect((await at(50))?.rows).toBe(3_200);
});

it('a few rows are no season', async () => {
  const seasonal = new SeasonalReferences(fixture.store);
  await fixture.add(FIRST, syntheticWindow(seeded(2), { rows: 10 }));
  for (const week of [0, 1]) {
    await fixture.add(EVENING + week * WEEK_MS, syntheticWindow(seeded(week), { rows: 200 }));
  }
  await fixture.retention.roll();
  const startMs = EVENING + 2 * WEEK_MS;
  expect(await seasonal.of('d', MANIFEST, GRIDS, { startMs, endMs: startMs + 300_000 })).toBeNull();
});
