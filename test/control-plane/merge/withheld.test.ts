import { afterEach, beforeEach, expect, it } from 'vitest';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { residencySchema } from '../../../protocol/residency.ts';
import { emptyWatched, gridsOf, watchedWindow } from '../../protocol/sketch/watched.ts';
import { MergeFixture } from '../../support/merge-fixture.ts';

const ROW = { kind: 'binary', group: 0, prediction: 0.7, label: 1, score: null } as const;
const WINDOW = { ...watchedWindow('binary', [{ ...ROW, vector: [0, 0] }]), rows: 1, requests: 1 };

let merge: MergeFixture;
beforeEach(async () => {
  merge = await MergeFixture.open(gridsOf('binary'));
});
afterEach(() => merge.close());

const restrict = (policy: object) =>
  merge.store.write((tx) =>
    updateDeployment(tx, 'd', { residency: residencySchema.parse(policy), updatedAt: 1 }),
  );

it('RESIDENCY-5: outcomes that come all the same are not kept, and the rest of their window is', async () => {
  // This control plane is nowhere, so it is not within; telemetry itself may come.
  await restrict({ jurisdictions: ['eu'], telemetry: 'anywhere', outcomes: 'within' });
  await merge.add(0, WINDOW);
  await merge.add(0, WINDOW);
  const { total } = await merge.sum(0, 300_000, 300_000);
  expect(total.rows).toBe(2);
  expect(total.outcome).toEqual(emptyWatched('binary').outcome);
  expect(merge.refused).toEqual([]);
});

it('outcomes of an unrestricted deployment are kept, and of one whose policy lets them go', async () => {
  for (const policy of [{}, { jurisdictions: ['eu'], telemetry: 'anywhere' }]) {
    await restrict(policy);
    await merge.add(0, WINDOW);
  }
  const { total } = await merge.sum(0, 300_000, 300_000);
  expect(total.outcome?.groups[0]).toBe(2);
});

it('RESIDENCY-3: a host of which nobody has said where it is, is elsewhere', async () => {
  await restrict({ jurisdictions: ['eu'] });
  await merge.add(0, WINDOW);
  expect(merge.refused).toMatchObject([{ reason: 'residency' }]);
  expect((await merge.sum(0, 300_000, 300_000)).total.rows).toBe(0);
  expect(merge.refused[0].detail).toContain('in no jurisdiction');
});
