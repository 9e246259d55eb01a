import { afterEach, beforeEach, expect, it } from 'vitest';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

it('DRAIN-1: a host that is drained is no canary, and takes the version when it is promoted', async () => {
  const [drained, other] = [await control.agent(), await control.agent()];
  const applied = drained.desired?.generation ?? 0;
  const report = { observed: applied, applied, at: Date.now(), deployments: [] };
  drained.send({ kind: 'report', ...report, draining: true });
  // What a link says is taken in order: once this window is acknowledged, the report has been read.
  const place = { deployment: 'loans', manifest: control.manifests[0], arm: 'stable' as const };
  const window = syntheticWindow(seeded(1), { rows: 1 });
  drained.window({ ...place, windowStartMs: 2000, windowMs: WINDOW_MS }, window);
  await drained.acked();
  const request = {
    ...{ version: 2, canary: { agents: 2, share: 1 }, minRows: 200, observeMs: 60_000 },
    ...{ deadlineMs: 60_000, onDeadline: 'hold' as const, maxPsi: 0.1 },
  };
  const { id, plan } = await control.hub.rollouts.start('loans', request, 'token:ops');
  expect(plan).toMatchObject({ cohort: { members: [other.id] } });
  await control.hub.rollouts.promote(id, 'token:ops');
  await drained.until(() => drained.arms('loans')?.[0][1] === 2);
});
