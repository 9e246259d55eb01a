import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { rolloutRequestSchema } from '../../../control-plane/http/services.ts';
import { listAlerts } from '../../../control-plane/store/alerts.ts';
import { findRollout, type RolloutRow } from '../../../control-plane/store/rollouts.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow, type Traffic } from '../../support/synthetic-windows.ts';

let control: ControlFixture;
/** How far the control plane's clock is ahead: what takes an hour there takes no time here. */
let aheadMs = 0;
beforeEach(async () => {
  aheadMs = 0;
  control = await ControlFixture.start({ now: () => Date.now() + aheadMs });
});
afterEach(() => control.stop());

const ACTOR = 'token:ops';
/** For what comes at once, on a machine that has much else to do. */
const PATIENCE_MS = 15_000;
const STABLE_ONLY = [['stable', 1, 1]];
const request = (change = {}) =>
  rolloutRequestSchema.parse({ version: 2, canary: { agents: 1 }, ...change });

async function stateOf(id: string): Promise<Record<string, unknown>> {
  const row: RolloutRow | null = await findRollout(control.store.read, id);
  return row?.state as Record<string, unknown>;
}
const kindOf = async (id: string) => (await stateOf(id)).kind;
const until = (id: string, kind: string) =>
  expect.poll(() => kindOf(id), { timeout: PATIENCE_MS }).toBe(kind);
const actions = async () =>
  (await eventsAfter(control.store.read, 0, 1_000)).map((event) => event.action);

/** Three hosts and a rollout; the canary first. */
async function canary(change = {}): Promise<{ id: string; agents: LinkAgent[] }> {
  const agents = [await control.agent(), await control.agent(), await control.agent()];
  const { id } = await control.hub.rollouts.start('loans', request(change), ACTOR);
  const isCanary = (agent: LinkAgent) => (agent.arms('loans')?.length ?? 0) > 1;
  await Promise.race(agents.map((agent) => agent.until(() => isCanary(agent))));
  return { id, agents: agents.sort((a, b) => Number(isCanary(b)) - Number(isCanary(a))) };
}

/** One window of traffic on every host, of the rollout's time. */
function traffic(agents: LinkAgent[], at: number, stable: Traffic, candidate: Traffic): void {
  const now = Date.now();
  const start = now - (now % WINDOW_MS) + at * WINDOW_MS;
  for (const [host, agent] of agents.entries()) {
    const isCanary = host === 0;
    const window = syntheticWindow(seeded(100 * at + host), isCanary ? candidate : stable);
    const place = {
      deployment: 'loans',
      manifest: control.manifests[isCanary ? 1 : 0],
      arm: isCanary ? ('candidate' as const) : ('stable' as const),
      windowStartMs: start,
      windowMs: WINDOW_MS,
    };
    agent.window(place, window);
  }
}

describe('a canary', () => {
  it('gets the candidate on one host, keeps the stable version loaded, and leaves others alone', async () => {
    const { agents } = await canary();
    expect(agents.map((agent) => agent.arms('loans'))).toEqual([
      [
        ['stable', 1, 0],
        ['candidate', 2, 1],
      ],
      STABLE_ONLY,
      STABLE_ONLY,
    ]);
    await expect(control.hub.rollouts.start('loans', request(), ACTOR)).rejects.toMatchObject({
      kind: 'conflict',
    });
  });

  it('is taken back by itself within two windows when its predictions moved', async () => {
    const { id, agents } = await canary();
    traffic(agents, 0, { rows: 150 }, { rows: 120, scoreShift: 1 });
    traffic(agents, 1, { rows: 150 }, { rows: 120, scoreShift: 1 });
    await agents[0].until(() => agents[0].arms('loans')?.length === 1);
    await until(id, 'rolled-back');
    expect(agents[0].arms('loans')).toEqual(STABLE_ONLY);
    const state = await stateOf(id);
    expect(state).toMatchObject({
      cause: 'gate',
      reverted: [{ agent: agents[0].id, afterMs: expect.any(Number) }],
      verdict: {
        verdict: 'fail',
        kinds: ['prediction-drift'],
        evidence: { rows: { stable: 600, candidate: 240 }, windows: 2 },
      },
    });
    expect(await actions()).toEqual(
      expect.arrayContaining([
        'rollout.started',
        'rollout.failed',
        'alert.raised',
        'deployment.rolled-back',
        'alert.resolved',
      ]),
    );
    const { items } = await listAlerts(control.store.read, { deployment: 'loans' }, null, 10);
    expect(items).toMatchObject([{ kind: 'prediction-drift', manifest: control.manifests[1] }]);
  });

  it('REPORT-3: is taken back when its host refuses it, and the host is not offered it again', async () => {
    const agent = await control.agent();
    agent.refuses.add(control.manifests[1]);
    const { id } = await control.hub.rollouts.start('loans', request(), ACTOR);
    await until(id, 'rolled-back');
    expect(await stateOf(id)).toMatchObject({ cause: 'nack' });
    expect(String((await stateOf(id)).reason)).toContain('golden-mismatch');
    expect(agent.arms('loans')).toEqual(STABLE_ONLY);
    expect(await actions()).toContain('agent.refused-version');
  });

  it('is promoted to all once observed, and then ends', async () => {
    const { id, agents } = await canary({ observeMs: 1 });
    traffic(agents, 0, { rows: 150 }, { rows: 300 });
    await until(id, 'completed');
    for (const agent of agents) expect(agent.arms('loans')).toEqual([['stable', 2, 1]]);
  });

  it('goes on after a restart with the evidence it had', async () => {
    const { id, agents } = await canary();
    traffic(agents, 0, { rows: 150 }, { rows: 120, scoreShift: 1 });
    for (const agent of agents) await agent.acked();
    await control.restart();
    for (const agent of agents) await agent.join(control.url, null);
    expect(await kindOf(id)).toBe('canary');
    traffic(agents, 1, { rows: 150 }, { rows: 120, scoreShift: 1 });
    await until(id, 'rolled-back');
    expect(await stateOf(id)).toMatchObject({ verdict: { evidence: { windows: 2 } } });
  });

  it('is held at its deadline without data', async () => {
    const { id } = await canary({ deadlineMs: 1_000 });
    await until(id, 'held');
    expect(String((await stateOf(id)).reason)).toContain('no window');
    const view = await control.hub.rollouts.promote(id, ACTOR);
    expect(view.state.kind).toBe('promoting');
  });

  it('is held at a deadline that passed while nobody was up, and not before it', async () => {
    const { id } = await canary({ deadlineMs: 3_600_000 });
    await control.restart();
    expect(await kindOf(id)).toBe('canary');
    await control.restart(async () => {
      aheadMs = 3_600_000;
    });
    await until(id, 'held');
    expect(String((await stateOf(id)).reason)).toContain('no window');
  });

  it('with nobody in it is inconclusive and never passes', async () => {
    const { id } = await control.hub.rollouts.start(
      'loans',
      request({ observeMs: 1, deadlineMs: 1_000 }),
      ACTOR,
    );
    await until(id, 'held');
    expect(await stateOf(id)).toMatchObject({
      verdict: { kinds: ['empty-cohort'] },
    });
  });

  it('can be paused, resumed and aborted by a person, in that order only', async () => {
    const { id, agents } = await canary();
    const { rollouts } = control.hub;
    await expect(rollouts.resume(id, ACTOR)).rejects.toMatchObject({ kind: 'conflict' });
    expect((await rollouts.pause(id, ACTOR)).state.kind).toBe('paused');
    expect((await rollouts.resume(id, ACTOR)).state.kind).toBe('canary');
    await rollouts.abort(id, 'changed my mind', ACTOR);
    await until(id, 'aborted');
    expect(agents[0].arms('loans')).toEqual(STABLE_ONLY);
    await expect(rollouts.pause('rol_none', ACTOR)).rejects.toMatchObject({ kind: 'not-found' });
  });
});

describe('a rollback', () => {
  it('reaches every connected host, and says how long each took', async () => {
    const { id, agents } = await canary({ observeMs: 1 });
    traffic(agents, 0, { rows: 150 }, { rows: 300 });
    await until(id, 'completed');
    await agents[2].cut();
    const asked = Date.now();
    const back = await control.hub.rollouts.rollback('loans', { reason: 'complaints' }, ACTOR);
    expect(back).toMatchObject({ from: 2, to: 1 });
    const { agents: confirmed } = await control.hub.fleet.confirmations(
      'loans',
      back.generation,
      PATIENCE_MS,
    );
    const tookMs = Date.now() - asked;
    const byId = new Map(confirmed.map((entry) => [entry.id, entry]));
    for (const agent of agents.slice(0, 2)) {
      expect(agent.arms('loans')).toEqual(STABLE_ONLY);
      const entry = byId.get(agent.id ?? '');
      expect(entry).toMatchObject({ connected: true, applied: agent.desired?.generation });
      expect(entry?.confirmedAfterMs).toBeGreaterThanOrEqual(0);
      expect(entry?.confirmedAfterMs).toBeLessThanOrEqual(tookMs);
    }
    expect(byId.get(agents[2].id ?? '')).toMatchObject({
      connected: false,
      confirmedAfterMs: null,
    });
    await agents[2].join(control.url, null);
    expect(agents[2].arms('loans')).toEqual(STABLE_ONLY);
  });

  it('during a rollout ends it, and needs no version', async () => {
    const { id, agents } = await canary();
    const back = await control.hub.rollouts.rollback('loans', { reason: 'no' }, ACTOR);
    expect(back).toMatchObject({ from: 2, to: 1 });
    const { agents: confirmed } = await control.hub.fleet.confirmations(
      'loans',
      back.generation,
      PATIENCE_MS,
    );
    expect(confirmed.every((entry) => entry.confirmedAfterMs !== null)).toBe(true);
    expect(agents[0].arms('loans')).toEqual(STABLE_ONLY);
    await until(id, 'aborted');
  });

  it('is refused when there is nothing to go back to', async () => {
    await control.agent();
    const { rollouts } = control.hub;
    const again = rollouts.rollback('loans', { reason: 'x' }, ACTOR);
    await expect(again).rejects.toMatchObject({ kind: 'conflict' });
    const same = rollouts.rollback('loans', { to: 1, reason: 'x' }, ACTOR);
    await expect(same).rejects.toMatchObject({ kind: 'conflict' });
    const gone = rollouts.rollback('loans', { to: 9, reason: 'x' }, ACTOR);
    await expect(gone).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('stops waiting for confirmations when the time is up, and keeps what it has over a restart', async () => {
    const agent = await control.agent();
    agent.applies = false;
    const back = await control.hub.rollouts.rollback('loans', { to: 3, reason: 'x' }, ACTOR);
    const late = await control.hub.fleet.confirmations('loans', back.generation, 50);
    expect(late.agents).toMatchObject([{ connected: true, confirmedAfterMs: null }]);
    aheadMs = 60_000;
    agent.applies = true;
    agent.report();
    const done = await control.hub.fleet.confirmations('loans', back.generation, PATIENCE_MS);
    expect(done.agents[0].confirmedAfterMs).toBeGreaterThanOrEqual(60_000);
    await control.restart();
    const after = await control.hub.fleet.confirmations('loans', back.generation, 0);
    expect(after.agents).toMatchObject([
      { connected: false, confirmedAfterMs: expect.any(Number) },
    ]);
  });
});
