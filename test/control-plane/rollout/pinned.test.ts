import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rolloutRequestSchema } from '../../../control-plane/http/services.ts';
import { putDeployment } from '../../../control-plane/registry/deployments.ts';
import { findRollout } from '../../../control-plane/store/rollouts.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const ACTOR = 'token:ops';
let control: ControlFixture;

beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

async function pin(...pinned: number[]): Promise<void> {
  const request = { model: 'mortgage', version: 1, pinned };
  await putDeployment(control.store, 'loans', request, ACTOR, Date.now());
  await control.hub.fleet.reconcile('test');
}

const start = (change: object) =>
  control.hub.rollouts.start(
    'loans',
    rolloutRequestSchema.parse({ version: 2, canary: { agents: 1, share: 0.5 }, ...change }),
    ACTOR,
  );
const kindOf = async (id: string) => {
  const state = (await findRollout(control.store.read, id))?.state as { kind?: string } | undefined;
  return state?.kind;
};
const until = (id: string, kind: string) =>
  expect.poll(() => kindOf(id), { timeout: 5_000 }).toBe(kind);
const shows = (agent: LinkAgent, ...arms: [string, number, number][]) =>
  agent.until(() => JSON.stringify(agent.arms('loans')) === JSON.stringify(arms));

/** A window of one arm; resolves when it is merged. */
async function window(
  agent: LinkAgent,
  arm: 'stable' | 'candidate' | 'pinned',
  version: number,
  at: number,
  errors = 0,
): Promise<void> {
  const place = {
    deployment: 'loans',
    manifest: control.manifests[version - 1],
    arm,
    windowStartMs: Date.now() - (Date.now() % WINDOW_MS) + at * WINDOW_MS,
    windowMs: WINDOW_MS,
  };
  agent.window(place, syntheticWindow(seeded(at + 7 * version), { rows: 150, errors }));
  await agent.acked();
}

describe('a version that is pinned', () => {
  it('becomes candidate and then stable without being there twice', async () => {
    const agent = await control.agent();
    await pin(2, 3);
    await shows(agent, ['stable', 1, 1], ['pinned', 2, 0], ['pinned', 3, 0]);
    const { id } = await start({ observeMs: 0 });
    await shows(agent, ['stable', 1, 0.5], ['candidate', 2, 0.5], ['pinned', 3, 0]);
    await control.hub.rollouts.promote(id, ACTOR);
    await shows(agent, ['stable', 2, 1], ['pinned', 3, 0]);
    await until(id, 'completed');
    await control.hub.rollouts.rollback('loans', { reason: 'test' }, ACTOR);
    await shows(agent, ['stable', 1, 1], ['pinned', 2, 0], ['pinned', 3, 0]);
  });

  it('DESIRED-11: and refused on a host ends no rollout and keeps nobody from confirming', async () => {
    const agent = await control.agent();
    agent.refuses.add(control.manifests[2]);
    await pin(3);
    const { id } = await start({});
    await shows(agent, ['stable', 1, 0.5], ['candidate', 2, 0.5], ['pinned', 3, 0]);
    expect(await kindOf(id)).toBe('canary');
    await control.hub.rollouts.promote(id, ACTOR);
    await until(id, 'completed');
    // A later rollout of the refused version offers it anew, and only then its refusal counts.
    agent.refuses.clear();
    const next = await start({ version: 3 });
    await shows(agent, ['stable', 2, 0.5], ['candidate', 3, 0.5]);
    expect(await kindOf(next.id)).toBe('canary');
  });

  it('is not what a rollout is judged by: whoever names a version chooses its traffic', async () => {
    const agent = await control.agent();
    await pin(3);
    const { id } = await start({ observeMs: 0, minRows: 100 });
    await shows(agent, ['stable', 1, 0.5], ['candidate', 2, 0.5], ['pinned', 3, 0]);
    for (let at = 0; at < 3; at += 1) {
      await window(agent, 'pinned', 3, at, 150);
      await window(agent, 'pinned', 2, at, 150);
      await window(agent, 'stable', 1, at);
    }
    expect(await kindOf(id)).toBe('canary');
    const { windows } = await control.hub.monitoring.windows('loans', 0, Number.MAX_SAFE_INTEGER);
    expect(new Set(windows.map(({ arm }) => arm))).toEqual(new Set(['stable', 'pinned']));
    for (let at = 0; at < 3; at += 1) await window(agent, 'candidate', 2, at);
    await until(id, 'completed');
  });
});
