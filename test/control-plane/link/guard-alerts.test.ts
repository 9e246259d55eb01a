import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { rolloutRequestSchema } from '../../../control-plane/http/services.ts';
import { type AlertRow, listAlerts } from '../../../control-plane/store/alerts.ts';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { channels, deliveries, reports } from '../../../control-plane/store/schema.ts';
import type { ReportedArm } from '../../../protocol/report.ts';
import type { Trip } from '../../../protocol/trip.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';

const GUARD = { maxNonFinite: 0 };

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
  const sealed = new Uint8Array(1);
  await control.store.write((tx) =>
    tx.insert(channels).values({ name: 'c', kind: 'webhook', shown: {}, sealed, createdAt: 0 }),
  );
  await decide({ version: 2, guard: GUARD });
});
afterEach(() => control.stop());

/** What an operator's change of the deployment does. */
async function decide(
  change: Omit<Parameters<typeof updateDeployment>[2], 'updatedAt'>,
): Promise<void> {
  const updatedAt = Date.now();
  await control.store.write((tx) => updateDeployment(tx, 'loans', { ...change, updatedAt }));
  await control.hub.fleet.reconcile('test');
}

const alerts = async (): Promise<AlertRow[]> =>
  (await listAlerts(control.store.read, { deployment: 'loans' }, null, 10)).items;
const open = async () => (await alerts()).filter(({ resolvedAt }) => resolvedAt === null);
const told = async () =>
  (await control.store.read.select().from(deliveries)).map(({ transition }) => transition);
const resolved = () => expect.poll(async () => (await open()).length).toBe(0);
const raised = (count = 1) => expect.poll(async () => (await alerts()).length).toBe(count);

let made = 0;
function tripOf(agent: LinkAgent, version: number, change: Partial<Trip> = {}): Trip {
  made += 1;
  return {
    ...{ id: `trp_${String(made).padStart(16, '0')}`, deployment: 'loans', version },
    ...{ manifest: control.manifests[version - 1], arm: 'stable', at: Date.now() },
    generation: agent.desired?.generation ?? 0,
    breach: { threshold: 'non-finite', bad: 1, answers: 7, limit: 0 },
    decision: 'c8888a03350e.mwz7bly8.4iyic2hy4h.0',
    outcome: { kind: 'reverted', version: 1 },
    ...change,
  };
}

const serving = (version: number): ReportedArm => ({
  ...{ arm: 'stable', version, manifest: control.manifests[version - 1] },
  ...{ state: 'serving', share: 1 },
});
const out = (version: number, arm: ReportedArm['arm'] = 'stable'): ReportedArm => ({
  ...{ arm, version, manifest: control.manifests[version - 1] },
  ...{ state: 'refused', code: 'guard-tripped', detail: 'NaN' },
});

let said = 0;
/** What a host says of what it does now, with whatever it still remembers; its time, which no other report has. */
function report(agent: LinkAgent, arms: ReportedArm[], trips: Trip[]): number {
  const { generation } = agent.desired ?? { generation: 0 };
  said += 1;
  const at = Date.now() + 1_000 * said;
  agent.send({
    ...{ kind: 'report', observed: generation, applied: generation, at },
    ...{ deployments: [{ name: 'loans', arms }], trips },
  });
  return at;
}

/** As `report`, and waits until it is in the database. */
async function heard(agent: LinkAgent, arms: ReportedArm[], trips: Trip[]): Promise<void> {
  const at = report(agent, arms, trips);
  const last = async () =>
    (await control.store.read.select().from(reports)).find(({ agentId }) => agentId === agent.id)
      ?.at;
  await expect.poll(last).toBe(at);
}

it('GUARD-9: a trip opens an alert with its evidence, and one alert for all hosts, told once', async () => {
  const [one, two] = [await control.agent('edge-1'), await control.agent('edge-2')];
  const first = tripOf(one, 2);
  report(one, [out(2), serving(1)], [first]);
  await raised();
  expect(await open()).toMatchObject([
    {
      ...{ deployment: 'loans', manifest: control.manifests[1], kind: 'guard-tripped' },
      detail: {
        ...{ version: 2, severity: 'high', hosts: 1 },
        reason: expect.stringContaining('1 of the last 7 answers held NaN or infinite outputs'),
        trips: [{ host: 'edge-1', agent: one.id, arm: 'stable', decision: first.decision }],
      },
    },
  ]);
  await heard(one, [out(2), serving(1)], [first]);
  report(two, [out(2), serving(1)], [tripOf(two, 2)]);
  await expect.poll(async () => (await open())[0]?.detail.hosts).toBe(2);
  expect(await alerts()).toHaveLength(1);
  expect(await told()).toEqual(['opened']);
  const events = await eventsAfter(control.store.read, 0, 1_000);
  expect(events.filter(({ action }) => action === 'alert.raised')).toMatchObject([
    { actor: 'system', subject: 'deployment:loans', detail: { kind: 'guard-tripped' } },
  ]);
});

it('GUARD-9: is resolved when the last host has left what it went back to, and not before, also over a restart', async () => {
  const [one, two] = [await control.agent(), await control.agent()];
  const trips = [tripOf(one, 2), tripOf(two, 2)];
  report(one, [out(2), serving(1)], [trips[0]]);
  report(two, [out(2), serving(1)], [trips[1]]);
  await expect.poll(async () => (await open())[0]?.detail.hosts).toBe(2);
  await control.restart();
  await one.join(control.url, null);
  // Somebody has decided anew: the host serves it again, and still tells what was.
  await heard(one, [serving(2)], [trips[0]]);
  expect(await open()).toHaveLength(1);
  await control.hub.agents.revoke(two.id ?? '', 'stolen', 'token:ops');
  await resolved();
  expect(await told()).toEqual(['opened', 'resolved']);
  // What is over is not opened again by a host that still remembers it.
  await heard(one, [serving(2)], [trips[0]]);
  expect(await alerts()).toHaveLength(1);
});

it('is resolved as soon as another version is wanted, whatever hosts are linked', async () => {
  const agent = await control.agent();
  report(agent, [out(2), serving(1)], [tripOf(agent, 2)]);
  await raised();
  await agent.cut();
  await decide({ version: 3 });
  await resolved();
});

it('grows worse where what stood in for it is taken back too, and is told again', async () => {
  const agent = await control.agent();
  const first = tripOf(agent, 2);
  report(agent, [out(2), serving(1)], [first]);
  await raised();
  report(agent, [out(2)], [first, tripOf(agent, 1, { outcome: { kind: 'refused' } })]);
  await expect.poll(told).toEqual(['opened', 'escalated']);
  expect(await open()).toMatchObject([
    { manifest: control.manifests[1], detail: { severity: 'critical', hosts: 1 } },
  ]);
});

it('is open while a version goes on for want of another, until somebody decides anew', async () => {
  const agent = await control.agent();
  const kept = tripOf(agent, 2, { outcome: { kind: 'kept' } });
  report(agent, [serving(2)], [kept]);
  await raised();
  expect((await open())[0]?.detail).toMatchObject({ severity: 'critical' });
  await heard(agent, [serving(2)], [kept]);
  expect(await open()).toHaveLength(1);
  await decide({ guard: { maxNonFinite: 5 } });
  await resolved();
});

it('is of a pinned version too, and open until that is not pinned any more', async () => {
  await decide({ pinned: [3] });
  const agent = await control.agent();
  const trip = tripOf(agent, 3, { arm: 'pinned' });
  report(agent, [serving(2), out(3, 'pinned')], [trip]);
  await raised();
  expect(await open()).toMatchObject([
    { manifest: control.manifests[2], detail: { version: 3, severity: 'low' } },
  ]);
  await decide({ pinned: [] });
  await resolved();
});

it('is not opened by a candidate, whose rollout tells it, nor by what nobody wants any more', async () => {
  const agent = await control.agent();
  await heard(agent, [serving(2)], [tripOf(agent, 1), tripOf(agent, 2)]);
  expect(await alerts()).toEqual([]);
  const canary = rolloutRequestSchema.parse({ version: 3, canary: { agents: 1 } });
  await control.hub.rollouts.start('loans', canary, 'token:ops');
  await agent.until(() => agent.arms('loans')?.length === 2);
  const candidate = tripOf(agent, 3, { arm: 'candidate' });
  report(agent, [out(2), serving(1), out(3, 'candidate')], [candidate]);
  await agent.until(() => agent.arms('loans')?.length === 1);
  const kinds = async () => (await alerts()).map(({ kind }) => kind);
  await expect.poll(kinds).toEqual(['errors']);
});
