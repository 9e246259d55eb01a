import { afterEach, beforeEach, expect, it } from 'vitest';
import { Arrivals } from '../../../control-plane/rollout/arrivals.ts';
import { Publisher, type SignedDocument } from '../../../control-plane/rollout/publisher.ts';
import { findAgent, insertAgent } from '../../../control-plane/store/agents.ts';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { ControlFixture } from '../../support/control-fixture.ts';

const HOSTS = 300;
const idOf = (host: number) => `agt_${String(host).padStart(24, '0')}`;
const hosts = Array.from({ length: HOSTS }, (_, host) => idOf(host));

let control: ControlFixture;
let arrivals: Arrivals<SignedDocument>;
let made: SignedDocument[];
beforeEach(async () => {
  control = await ControlFixture.start();
  made = [];
  const publisher = new Publisher(control.store, control.key, ({ documents, requestedAtMs }) => {
    made.push(...documents);
    expect(requestedAtMs).toBeNull();
  });
  arrivals = new Arrivals(async (hosts) => {
    const documents = await publisher.arrive(Date.now(), hosts);
    return new Map(documents.map((document) => [document.agentId, document]));
  });
  await control.store.write(async (tx) => {
    for (const [host, id] of hosts.entries()) {
      const publicKey = new Uint8Array(32);
      new DataView(publicKey.buffer).setUint32(0, host);
      const capabilities = {
        ...{ runtime: 'node' as const, runtimeVersion: '20', platform: 'x' },
        ...{ cores: 1, engines: 1, providers: ['cpu' as const] },
      };
      const rest = { labels: {}, serving: null, capabilities, protocol: 3 };
      await insertAgent(tx, { id, name: id, publicKey, ...rest }, 1);
    }
  });
});
afterEach(() => control.stop());

it('looks at a fleet that links at once a few times, and gives each host its document once', async () => {
  const before = control.store.commits;
  await Promise.all(hosts.map((id) => arrivals.take(id, 0)));
  expect(control.store.commits - before).toBeLessThan(5);
  expect(made.map(({ agentId }) => agentId).sort()).toEqual(hosts);
  expect(new Set(made.map(({ generation }) => generation)).size).toBe(HOSTS);
  await Promise.all(hosts.map((id) => arrivals.take(id, 0)));
  expect(made).toHaveLength(HOSTS);
  const seen = await Promise.all(hosts.map((id) => findAgent(control.store.read, id)));
  expect(Date.now() - Math.min(...seen.map((row) => row?.lastSeenAt ?? 0))).toBeLessThan(60_000);
});

it('gathers a fleet that comes host by host, and lets a single host wait for nobody', async () => {
  const looks: number[] = [];
  const gathering = new Arrivals(async (some) => {
    looks.push(some.length);
    await new Promise((turn) => setImmediate(turn));
    return new Map();
  });
  const all: Promise<null>[] = [];
  for (const id of hosts) {
    all.push(gathering.take(id, 0));
    await new Promise((turn) => setImmediate(turn));
  }
  await Promise.all(all);
  expect(looks[0]).toBe(1);
  expect(looks.reduce((sum, count) => sum + count, 0)).toBe(HOSTS);
  // Looked at as they come, they are a hundred or more.
  expect(looks.length).toBeLessThan(HOSTS / 6);
});

it('DESIRED-14: signs anew for that host alone which has a newer one', async () => {
  await Promise.all(hosts.map((id) => arrivals.take(id, 0)));
  const newest = Math.max(...made.map(({ generation }) => generation));
  made = [];
  const held = (id: string) => (id === idOf(7) ? newest + 1 : 0);
  await Promise.all(hosts.map((id) => arrivals.take(id, held(id))));
  expect(made.map(({ agentId }) => agentId)).toEqual([idOf(7)]);
  expect(made[0].generation).toBeGreaterThan(newest);
});

it('tells everybody when what the fleet shall run can not be read, and goes on', async () => {
  const pointAt = (version: number) =>
    control.store.write((tx) => updateDeployment(tx, 'loans', { version, updatedAt: 2 }));
  await pointAt(99);
  const outcomes = await Promise.allSettled(hosts.map((id) => arrivals.take(id, 0)));
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
  await pointAt(1);
  await arrivals.take(idOf(1), 0);
  expect(made.map(({ agentId }) => agentId)).toEqual([idOf(1)]);
});
