import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HostCounts } from '../../../control-plane/http/services.ts';
import { FleetDesk } from '../../../control-plane/rollout/fleet.ts';
import { Publisher } from '../../../control-plane/rollout/publisher.ts';
import { Roster, type RosterEntry } from '../../../control-plane/rollout/roster.ts';
import { Standings } from '../../../control-plane/rollout/standing.ts';
import { findAgent } from '../../../control-plane/store/agents.ts';
import { findDeployment, updateDeployment } from '../../../control-plane/store/deployments.ts';
import { residencySchema } from '../../../protocol/residency.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

async function deployment() {
  const row = await findDeployment(control.store.read, 'loans');
  if (row === null) throw new Error('no deployment "loans"');
  return row;
}

const counts = async (): Promise<HostCounts> =>
  control.hub.fleet.counts(await deployment(), control.manifests[0]);

/** Waits until the hosts are counted so. */
async function counted(wanted: Partial<HostCounts>): Promise<void> {
  await expect.poll(counts, { timeout: 10_000 }).toMatchObject(wanted);
}

/** Links a host after `change` has been made of it. */
async function host(name: string, change: (agent: LinkAgent) => void): Promise<LinkAgent> {
  const agent = await LinkAgent.create();
  control.agents.push(agent);
  change(agent);
  return agent.join(control.url, await control.token(), name);
}

it('hosts are counted by what they last said: who serves, who is linked, who refuses and why', async () => {
  const good = await control.agent();
  await host('late', (agent) => {
    agent.applies = false;
  });
  const bad = await host('bad', (agent) => agent.refuses.add(control.manifests[0]));
  await counted({ total: 3, connected: 3, serving: 1, connectedServing: 1, unleased: 0 });
  await counted({
    refused: [{ agent: bad.id ?? '', name: 'bad', reason: 'golden-mismatch: off by 0.2' }],
  });
  await good.cut();
  await counted({ total: 3, connected: 2, serving: 1, connectedServing: 0 });
});

it('hosts to which it does not go are not counted, nor those that an operator has revoked', async () => {
  const [first, second] = [await control.agent(), await control.agent()];
  await counted({ total: 2, serving: 2 });
  await control.hub.agents.revoke(second.id ?? '', 'stolen', 'token:ops');
  await counted({ total: 1, serving: 1 });
  const residency = residencySchema.parse({ jurisdictions: ['eu'] });
  await control.store.write((tx) => updateDeployment(tx, 'loans', { residency, updatedAt: 1 }));
  await control.hub.fleet.reconcile('test');
  await counted({ total: 0, serving: 0 });
  await control.hub.agents.move(first.id ?? '', 'eu', 'token:ops');
  await counted({ total: 1, serving: 1 });
});

it('hosts whose lease ran out are counted, and a control plane that starts knows what they said', async () => {
  const agent = await control.agent();
  await counted({ serving: 1 });
  const { desired } = agent;
  const [arm] = desired?.deployments[0]?.arms ?? [];
  if (desired === null || arm === undefined) throw new Error('no document');
  const arms = [{ ...arm, state: 'serving' as const }];
  const lease = { state: 'lapsed' as const, lapsedAt: 1 };
  const { generation } = desired;
  agent.send({
    ...{ kind: 'report', observed: generation, applied: generation, at: 1 },
    deployments: [{ name: 'loans', arms, lease }],
  });
  await counted({ serving: 1, unleased: 1 });
  await control.restart();
  expect(await counts()).toMatchObject({ total: 1, connected: 0, serving: 1, unleased: 1 });
  expect(control.hub.fleet.hosts()).toEqual([
    { id: agent.id, name: 'host-0', stable: new Map([['loans', 1]]) },
  ]);
});

it('what many hosts say alike is kept once', () => {
  const standings = new Standings();
  const said = (version: number) => {
    const arm = { arm: 'stable' as const, version, manifest: control.manifests[0], share: 1 };
    return [{ name: 'loans', arms: [{ ...arm, state: 'serving' as const }] }];
  };
  const first = standings.of(said(1));
  expect(standings.of(said(1))).toBe(first);
  expect(standings.of(said(2)).stable).toEqual(new Map([['loans', 2]]));
  for (let version = 3; version < 2000; version += 1) standings.of(said(version));
  expect(standings.of(said(1))).toEqual(first);
});

it('whoever waits for confirmations does not look at the fleet again with each link of a storm', async () => {
  const row = await findAgent(control.store.read, (await control.agent()).id ?? '');
  if (row === null) throw new Error('no agent');
  let looks = 0;
  class Counted extends Roster {
    override all(): RosterEntry[] {
      looks += 1;
      return super.all();
    }
  }
  const publisher = new Publisher(control.store, control.key, () => undefined);
  // All were asked for what none has applied.
  const roster = new Counted(() => ({ generation: 99, requestedAtMs: 0 }));
  for (let at = 0; at < 20_000; at += 1) roster.add({ ...row, id: `agt_${at}` });
  const fleet = new FleetDesk({
    ...{ store: control.store, publisher, roster, connected: () => new Set(['agt_1']) },
    ...{ ledgerOf: () => null, downloadsOf: () => [], duplicates: () => 0, now: Date.now },
  });
  let waits = true;
  const answer = fleet.confirmations('loans', 99, 1_000).finally(() => {
    waits = false;
  });
  let wakes = 0;
  while (waits) {
    fleet.wake();
    wakes += 1;
    await new Promise(setImmediate);
  }
  expect((await answer).agents).toHaveLength(20_000);
  expect(looks).toBeGreaterThan(1);
  expect(wakes).toBeGreaterThan(10 * looks);
});
