import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { findAgent } from '../../../control-plane/store/agents.ts';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { createJoinToken } from '../../../control-plane/store/join-tokens.ts';
import { refusalsOf } from '../../../control-plane/store/refusals.ts';
import type { CommandOutcome } from '../../../protocol/command.ts';
import type { DecisionRecord } from '../../../protocol/decision.ts';
import type { AgentId } from '../../../protocol/ids.ts';
import { residencySchema } from '../../../protocol/residency.ts';
import { rootFingerprint } from '../../../protocol/trust/root.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const ACTOR = 'token:ops';

let control: ControlFixture;

beforeEach(async () => {
  control = await ControlFixture.start({ jurisdiction: 'eu' });
});
afterEach(() => control.stop());

function idOf({ id }: LinkAgent): AgentId {
  if (id === null) throw new Error('not joined');
  return id;
}

async function answer(agent: LinkAgent, outcome: CommandOutcome): Promise<void> {
  await agent.until(() => agent.received.some(({ kind }) => kind === 'command'));
  agent.send({ kind: 'result', id: agent.last('command').id, outcome });
}

const failure = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: Error & { kind: string }) => `${error.kind}: ${error.message}`,
  );

const recorded = async (action: string) =>
  (await eventsAfter(control.store.read, 0, 1000))
    .filter((event) => event.action === action)
    .map(({ actor, subject, detail }) => ({ actor, subject, detail }));

/** Says that "loans" may only be in these, and tells every host. */
async function restrict(policy: object): Promise<void> {
  const residency = residencySchema.parse(policy);
  await control.store.write((tx) => updateDeployment(tx, 'loans', { residency, updatedAt: 1 }));
  await control.hub.fleet.reconcile('test');
}

describe('what operators have a host do', () => {
  it('COMMAND-1: is answered with what the host says, and recorded with who asked', async () => {
    const agent = await control.agent();
    const drained = control.hub.hosts.ask(idOf(agent), { name: 'drain' }, ACTOR);
    await answer(agent, { ok: true, value: { name: 'drain', inFlight: 2 } });
    expect(await drained).toEqual({ name: 'drain', inFlight: 2 });
    expect(await recorded('agent.drained')).toEqual([
      {
        ...{ actor: ACTOR, subject: `agent:${agent.id}` },
        detail: { command: agent.last('command').id, outcome: 'done' },
      },
    ]);
  });

  it('COMMAND-6: is recorded too where the host did not do it, with the code', async () => {
    const agent = await control.agent();
    const command = { name: 'log-level', level: 'debug', forMs: 5000 } as const;
    const asked = failure(control.hub.hosts.ask(idOf(agent), command, ACTOR));
    await answer(agent, { ok: false, code: 'busy', message: 'one runs' });
    expect(await asked).toBe(`conflict: agent ${agent.id} did not do "log-level": one runs`);
    await agent.cut();
    while (control.hub.fleet.connected().has(idOf(agent))) await new Promise(setImmediate);
    expect(await failure(control.hub.hosts.ask(idOf(agent), command, ACTOR))).toMatch(
      /^unavailable: agent /,
    );
    const outcomes = (await recorded('agent.log-level-set')).map(({ detail }) => detail);
    expect(outcomes).toEqual([
      { level: 'debug', forMs: 5000, command: expect.stringMatching(/^cmd_/), outcome: 'busy' },
      { level: 'debug', forMs: 5000, outcome: 'not-linked' },
    ]);
  });

  it('DRAIN-1: a host that says that it is drained is shown so, and no longer when it says no more', async () => {
    const agent = await control.agent();
    const said = async (draining: boolean) => {
      const report = { observed: 1, applied: 1, at: 1, deployments: [] };
      agent.send({ kind: 'report', ...report, draining });
      // What a link says is taken in order: this command's result comes after the report.
      const asked = control.hub.hosts.ask(idOf(agent), { name: 'undrain' }, ACTOR);
      await answer(agent, { ok: true, value: { name: 'undrain' } });
      await asked;
      agent.received.length = 0;
      return (await findAgent(control.store.read, idOf(agent)))?.draining;
    };
    expect([await said(true), await said(false)]).toEqual([true, false]);
  });
});

describe('the record of a decision', () => {
  const RECORD: DecisionRecord = {
    ...{ manifest: `sha256:${'1'.repeat(64)}`, arm: 'stable', windowStartMs: 0, windowMs: 1000 },
    ...{ answeredAt: 5, row: 0, prediction: 0.25, positive: false, groups: {}, label: null },
  };
  const of = (agent: LinkAgent) => ({
    ...{ deployment: 'loans', row: 0, id: `${idOf(agent).slice(4, 16)}.a.b.c` },
  });

  it('COMMAND-8: is fetched from the host that its id names', async () => {
    const [agent, other] = [await control.agent(), await control.agent()];
    const asked = control.hub.hosts.decision(of(agent), ACTOR);
    await answer(agent, { ok: true, value: { name: 'decision', record: RECORD } });
    expect(await asked).toEqual({ agent: agent.id, record: RECORD });
    expect(agent.last('command').command).toEqual({ name: 'decision', ...of(agent) });
    expect(other.received.some(({ kind }) => kind === 'command')).toBe(false);
    const [{ subject, detail }] = await recorded('decision.fetched');
    expect(subject).toBe(`decision:${of(agent).id}`);
    const command = agent.last('command').id;
    const what = { deployment: 'loans', row: 0, agent: agent.id };
    expect(detail).toEqual({ ...what, command, outcome: 'done' });
    const stranger = { ...of(agent), id: 'ffffffffffff.a.b.c' };
    expect(await failure(control.hub.hosts.decision(stranger, ACTOR))).toMatch(
      /^not-found: .*no agent/,
    );
    const nowhere = { ...of(agent), deployment: 'cards' };
    expect(await failure(control.hub.hosts.decision(nowhere, ACTOR))).toMatch(/^not-found/);
  });

  it('RESIDENCY-4: stays where it may be: the host is not asked, and that is recorded', async () => {
    const agent = await control.agent();
    await control.hub.agents.move(idOf(agent), 'us', ACTOR);
    await restrict({ jurisdictions: ['eu'], decisions: 'anywhere' });
    const told = await failure(control.hub.hosts.decision(of(agent), ACTOR));
    expect(told).toMatch(/^residency: host-outside: the host is in "us"/);
    await control.hub.agents.move(idOf(agent), 'us', ACTOR);
    await restrict({ jurisdictions: ['us'] });
    const here = await failure(control.hub.hosts.decision(of(agent), ACTOR));
    expect(here).toMatch(/^residency: control-plane-outside: this control plane is in "eu"/);
    expect(agent.received.some(({ kind }) => kind === 'command')).toBe(false);
    const codes = (await recorded('residency.refused')).map(({ detail }) => detail.outcome);
    expect(codes).toEqual(['host-outside', 'control-plane-outside']);
  });
});

describe('a restricted deployment', () => {
  it('RESIDENCY-2: is taken from a host that is moved away, and given back when it returns', async () => {
    const agent = await control.agent();
    const has = () => agent.arms('loans') !== null;
    expect(has()).toBe(true);
    await restrict({ jurisdictions: ['eu'] });
    await agent.until(() => !has());
    await control.hub.agents.move(idOf(agent), 'eu', ACTOR);
    await agent.until(has);
    await control.hub.agents.move(idOf(agent), null, ACTOR);
    await agent.until(() => !has());
    expect(await recorded('agent.moved')).toMatchObject([
      { detail: { from: null, to: 'eu' } },
      { detail: { from: 'eu', to: null } },
    ]);
  });

  it('RESIDENCY-2: has only hosts within among its canary', async () => {
    const [outside, within] = [await control.agent(), await control.agent()];
    await control.hub.agents.move(idOf(within), 'eu', ACTOR);
    await restrict({ jurisdictions: ['eu'] });
    const request = {
      ...{ version: 2, canary: { agents: 2, share: 0.5 }, minRows: 200, observeMs: 60_000 },
      ...{ deadlineMs: 60_000, onDeadline: 'hold' as const, maxPsi: 0.1 },
    };
    await control.hub.rollouts.start('loans', request, ACTOR);
    await within.until(() => within.arms('loans')?.length === 2);
    expect(outside.arms('loans')).toBeNull();
    expect(outside.desired?.deployments).toEqual([]);
    const { agents } = await control.hub.rollouts.rollback('loans', { reason: 'test' }, ACTOR);
    expect(agents.map(({ id }) => id)).toEqual([within.id]);
  });

  it('RESIDENCY-5: says what hosts keep to themselves where this control plane is not within', async () => {
    const agent = await control.agent();
    await control.hub.agents.move(idOf(agent), 'us', ACTOR);
    const withheld = () => agent.desired?.deployments.map((each) => each.withheld);
    await restrict({ jurisdictions: ['us'], outcomes: 'within' });
    await agent.until(() => withheld()?.[0] !== undefined);
    expect(withheld()).toEqual([['outcomes']]);
    await restrict({ jurisdictions: ['us', 'eu'], outcomes: 'within' });
    await agent.until(() => withheld()?.[0] === undefined);
    expect(withheld()).toEqual([undefined]);
  });

  it('RESIDENCY-3: takes no window of a host elsewhere, and records the first', async () => {
    const agent = await control.agent();
    await restrict({ jurisdictions: ['eu'] });
    const [manifest] = control.manifests;
    const place = { deployment: 'loans', manifest, arm: 'stable' as const, windowMs: WINDOW_MS };
    const send = (windowStartMs: number) =>
      agent.window({ ...place, windowStartMs }, syntheticWindow(seeded(1), { rows: 5 }));
    send(2000);
    send(4000);
    await agent.acked();
    const refusals = await refusalsOf(control.store.read, 'loans');
    expect(refusals).toMatchObject([{ reason: 'residency', windows: 2, agentId: agent.id }]);
    const violations = await recorded('residency.refused');
    expect(violations).toMatchObject([
      { actor: `agent:${agent.id}`, subject: 'deployment:loans', detail: { what: 'telemetry' } },
    ]);
    await restrict({ jurisdictions: ['eu'], telemetry: 'anywhere' });
    send(6000);
    await agent.acked();
    expect((await control.hub.monitoring.windows('loans', 0, 10_000)).totals.rows).toBe(5);
  });
});

describe('where a host is', () => {
  it('RESIDENCY-1: comes with its token or its approval, and not from the host', async () => {
    const fingerprint = await rootFingerprint(control.trust.chain[0]);
    const granted = { jurisdiction: 'eu', labels: {}, createdBy: 't', fingerprint };
    const request = { ...granted, expiresAt: Date.now() + 60_000 };
    const made = await control.store.write((tx) => createJoinToken(tx, request, Date.now()));
    await restrict({ jurisdictions: ['eu'] });
    const host = await LinkAgent.create();
    control.agents.push(host);
    await host.join(control.url, made.text, 'edge', { jurisdiction: 'us' });
    expect(host.arms('loans')).not.toBeNull();
    const [joined] = await recorded('agent.joined');
    expect(joined.detail).toMatchObject({
      jurisdiction: 'eu',
      labels: { 'self.jurisdiction': 'us' },
    });
    const liar = await LinkAgent.create();
    control.agents.push(liar);
    await liar.join(control.url, await control.token(), 'liar', { jurisdiction: 'eu' });
    expect(liar.arms('loans')).toBeNull();
  });
});
