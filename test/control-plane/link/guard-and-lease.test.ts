import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { rolloutRequestSchema } from '../../../control-plane/http/services.ts';
import { MAX_TRIPS_PER_HOUR } from '../../../control-plane/link/trip-recorder.ts';
import { keepWindows } from '../../../control-plane/merge/retention.ts';
import { insertDeployment, updateDeployment } from '../../../control-plane/store/deployments.ts';
import { tripsOf } from '../../../control-plane/store/guard-trips.ts';
import { findRollout } from '../../../control-plane/store/rollouts.ts';
import { type Renewal, renewalSchema } from '../../../protocol/lease.ts';
import { open } from '../../../protocol/signing.ts';
import type { Trip } from '../../../protocol/trip.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';

const LEASE = { durationMs: 2_000, afterwards: 'stop' } as const;
const GUARD = { maxNonFinite: 0 };

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

async function set(change: Parameters<typeof updateDeployment>[2]): Promise<void> {
  await control.store.write((tx) => updateDeployment(tx, 'loans', change));
  await control.hub.fleet.reconcile('test');
}

async function renewals(agent: LinkAgent): Promise<Renewal[]> {
  const found: Renewal[] = [];
  for (const message of agent.received) {
    if (message.kind !== 'lease') continue;
    const payload = await open(control.key.publicKey, 'lease', message.envelope);
    found.push(renewalSchema.parse(JSON.parse(new TextDecoder().decode(payload))));
  }
  return found;
}

const told = (agent: LinkAgent) => agent.received.filter(({ kind }) => kind === 'lease').length;
const actions = async () =>
  (await eventsAfter(control.store.read, 0, 1_000)).map((event) => event.action);

describe('LEASE-6: the control plane renews leases', () => {
  it('of every linked host, several times in the shortest of them, and not where there are none', async () => {
    const [one, two] = [await control.agent(), await control.agent()];
    expect([told(one), told(two)]).toEqual([0, 0]);
    await set({ lease: LEASE, updatedAt: 1 });
    await one.until(() => one.desired?.deployments[0].lease !== undefined);
    expect(one.desired?.deployments[0].lease).toEqual(LEASE);
    const before = Date.now();
    await Promise.all([one.until(() => told(one) >= 3), two.until(() => told(two) >= 3)]);
    expect(Date.now() - before).toBeLessThan(LEASE.durationMs);
    for (const agent of [one, two]) {
      for (const { agent: of, generation, issuedAt } of await renewals(agent)) {
        expect([of, generation]).toEqual([agent.id, agent.desired?.generation]);
        expect(Math.abs(issuedAt - Date.now())).toBeLessThan(5_000);
      }
    }
    // One signature covers both.
    const [a, b] = [one, two].map((agent) => agent.last('lease').envelope);
    expect(a.inclusion?.size).toBe(2);
    expect(Buffer.from(a.signature)).toEqual(Buffer.from(b.signature));
    await expect(open(control.key.publicKey, 'desired', a)).rejects.toThrow('did not sign it');
  });

  it('by a time that never goes back, though its clock is set back by an hour', async () => {
    await control.stop();
    let setBackMs = 0;
    control = await ControlFixture.start({ now: () => Date.now() - setBackMs });
    await set({ lease: LEASE, updatedAt: 1 });
    const agent = await control.agent();
    await agent.until(() => told(agent) >= 1);
    setBackMs = 3_600_000;
    await agent.until(() => told(agent) >= 3);
    const times = (await renewals(agent)).map(({ issuedAt }) => issuedAt);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    // It goes on, too: a time that stands still would let leases run out.
    const [first, last] = [times[0], times[times.length - 1]];
    expect(last - first).toBeGreaterThan(LEASE.durationMs / 8);
    expect(last - first).toBeLessThan(60_000);
  });

  it('of a host that links, at once, and after the document', async () => {
    await set({ lease: LEASE, updatedAt: 1 });
    const agent = await control.agent();
    await agent.until(() => told(agent) > 0);
    const kinds = agent.received.map(({ kind }) => kind);
    expect(kinds.indexOf('lease')).toBeGreaterThan(kinds.indexOf('desired'));
  });

  it('LEASE-2: for the newest document alone, from when it is in force', async () => {
    await set({ lease: LEASE, updatedAt: 1 });
    const agent = await control.agent();
    const before = agent.desired?.generation ?? 0;
    await set({ version: 2, updatedAt: 2 });
    await agent.until(() => (agent.desired?.generation ?? 0) > before);
    agent.received.length = 0;
    await agent.until(() => told(agent) >= 2);
    for (const { generation } of await renewals(agent)) expect(generation).toBeGreaterThan(before);
  });
});

async function stateOf(id: string): Promise<unknown> {
  const row = await findRollout(control.store.read, id);
  return row === null ? null : row.state;
}

const tripped = (agent: LinkAgent, change: Partial<Trip> = {}): Trip => ({
  ...{ id: `trp_${'1'.repeat(16)}`, deployment: 'loans', manifest: control.manifests[1] },
  ...{ version: 2, arm: 'candidate', generation: agent.desired?.generation ?? 0 },
  at: Date.now(),
  breach: { threshold: 'non-finite', bad: 1, answers: 1, limit: 0 },
  decision: 'c8888a03350e.mwz7bly8.4iyic2hy4h.0',
  outcome: { kind: 'reverted', version: 1 },
  ...change,
});

/** What a host says whose guard took the candidate back. */
function reportTrips(agent: LinkAgent, trips: readonly Trip[]): void {
  const { generation } = agent.desired ?? { generation: 0 };
  const version = { arm: 'candidate', version: 2, manifest: control.manifests[1] } as const;
  const refused = { state: 'refused', code: 'guard-tripped', detail: 'NaN' } as const;
  const stable = { arm: 'stable', version: 1, manifest: control.manifests[0] } as const;
  const arms = [
    { ...stable, state: 'serving' as const, share: 1 },
    { ...version, ...refused },
  ];
  const deployments = [{ name: 'loans', arms }];
  agent.send({
    ...{ kind: 'report', observed: generation, applied: generation, at: Date.now() },
    ...{ deployments, trips: [...trips] },
  });
}

describe('GUARD-8: what a host took back', () => {
  it('is recorded once, however often and over whichever links it is told', async () => {
    const agent = await control.agent();
    const trip = tripped(agent);
    reportTrips(agent, [trip]);
    reportTrips(agent, [trip]);
    await expect.poll(actions).toContain('agent.guard-tripped');
    await control.restart();
    await agent.join(control.url, null);
    const second = tripped(agent, { id: `trp_${'2'.repeat(16)}` });
    reportTrips(agent, [trip, second]);
    const recorded = async () =>
      (await actions()).filter((action) => action === 'agent.guard-tripped');
    await expect.poll(async () => (await recorded()).length).toBe(2);
    const kept = await tripsOf(control.store.read, 'loans', 10);
    expect(kept.map((row) => row.trip)).toEqual(expect.arrayContaining([trip, second]));
    expect(kept).toHaveLength(2);
    const events = await eventsAfter(control.store.read, 0, 1_000);
    expect(events.find(({ action }) => action === 'agent.guard-tripped')).toMatchObject({
      actor: `agent:${agent.id}`,
      detail: {
        deployment: 'loans',
        version: 2,
        decision: trip.decision,
        told: '1 of the last 1 answers held NaN or infinite outputs, at most 0 may: version 1 answers',
      },
    });
  });

  it('is recorded a bounded number of times an hour, and what was left out comes with a later report', async () => {
    const agent = await control.agent();
    const trips = Array.from({ length: 64 }, (_, k) =>
      tripped(agent, { id: `trp_${String(k).padStart(16, '0')}` }),
    );
    reportTrips(agent, trips);
    const count = async () => (await tripsOf(control.store.read, 'loans', 100)).length;
    await expect.poll(count).toBe(MAX_TRIPS_PER_HOUR);
  });

  it('is bound to the host: its ids are its own, and so are the deployments that it speaks for', async () => {
    const [one, two] = [await control.agent(), await control.agent()];
    await control.store.write((tx) =>
      insertDeployment(tx, {
        ...{ name: 'cards', model: 'mortgage', version: 1, previousVersion: null },
        ...{ selector: { site: 'elsewhere' }, windowMs: 60_000, createdAt: 0, updatedAt: 0 },
      }),
    );
    const [mine, strange] = [tripped(one), tripped(one, { id: `trp_${'3'.repeat(16)}` })];
    reportTrips(one, [{ ...strange, deployment: 'cards' }, mine]);
    reportTrips(two, [tripped(two, { id: mine.id, version: 3 })]);
    const hosts = async () =>
      (await tripsOf(control.store.read, 'loans', 10)).map(({ agentId }) => agentId);
    await expect.poll(async () => new Set(await hosts())).toEqual(new Set([one.id, two.id]));
    expect(await tripsOf(control.store.read, 'cards', 10)).toEqual([]);
  });

  it('is kept for 90 days, and does not come back with a report that still brings it', async () => {
    const day = 86_400_000;
    const agent = await control.agent();
    const old = tripped(agent, { at: Date.now() - 91 * day });
    const young = tripped(agent, { id: `trp_${'4'.repeat(16)}`, at: Date.now() - 89 * day });
    reportTrips(agent, [old, young]);
    const ids = async () => (await tripsOf(control.store.read, 'loans', 10)).map(({ id }) => id);
    await expect.poll(ids).toEqual([young.id]);
    const sweep = async (now: number) => {
      const { store } = control;
      const retention = keepWindows({ store, now: () => now, onFailure: () => undefined });
      const deleted = await retention.sweep();
      await retention.close();
      return deleted;
    };
    expect(await sweep(Date.now() + 89 * day)).toBe(0);
    expect(await sweep(Date.now() + 91 * day)).toBe(1);
    expect(await ids()).toEqual([]);
  });

  it('GUARD-7: fails the canary that it was, and the rollout is taken back', async () => {
    await set({ guard: GUARD, updatedAt: 77 });
    const agents = [await control.agent(), await control.agent()];
    const request = rolloutRequestSchema.parse({ version: 2, canary: { agents: 1 } });
    const { id } = await control.hub.rollouts.start('loans', request, 'token:ops');
    const isCanary = (agent: LinkAgent) => (agent.arms('loans')?.length ?? 0) > 1;
    await Promise.race(agents.map((agent) => agent.until(() => isCanary(agent))));
    const canary = agents.find(isCanary) ?? agents[0];
    const decided = canary.desired?.deployments[0].arms.map((arm) => arm.decidedAt) ?? [];
    expect(decided[0]).toBe(77);
    expect(decided[1]).toBeGreaterThan(77);
    reportTrips(canary, [tripped(canary)]);
    await canary.until(() => canary.arms('loans')?.length === 1);
    await expect.poll(() => stateOf(id)).toMatchObject({ kind: 'rolled-back' });
    expect(await stateOf(id)).toMatchObject({ reason: expect.stringContaining('guard-tripped') });
  });
});
