import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { findAgent, touchAgents } from '../../../control-plane/store/agents.ts';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { findDesired } from '../../../control-plane/store/desired.ts';
import { createJoinToken } from '../../../control-plane/store/join-tokens.ts';
import { rotationTranscript } from '../../../protocol/handshake.ts';
import type { Rotation } from '../../../protocol/hello.ts';
import { fingerprintOf, generateSigningKey, signBytes } from '../../../protocol/signing.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';

const ACTOR = 'token:admin';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

const idOf = (agent: LinkAgent) => agent.id ?? '';
const fingerprint = (agent: LinkAgent) => fingerprintOf(agent.key.publicKey);
const actions = async () =>
  (await eventsAfter(control.store.read, 0, 50)).map(({ action }) => action);

async function refusedWith(agent: LinkAgent): Promise<string> {
  await agent.until(() => agent.closed !== null);
  expect(agent.closed).toMatchObject({ code: 1008, reason: agent.last('refused').code });
  return agent.last('refused').code;
}

describe('HELLO-10: the control plane proves its key', () => {
  it('in every welcome, and in every refusal after a hello', async () => {
    const agent = await control.agent();
    expect([agent.proven, agent.last('welcome').protocol]).toEqual([true, 4]);
    const stranger = await LinkAgent.create();
    await stranger.join(control.url, null);
    expect(await refusedWith(stranger)).toBe('unknown-agent');
    expect(stranger.proven).toBe(true);
  });

  it('to nobody who does not ask: an agent of protocol 2 links as before', async () => {
    const old = await control.agent();
    await old.cut();
    const challenge = await old.open(control.url);
    old.send(await old.hello(challenge, { protocol: 2, nonce: undefined }));
    await old.until(() => old.desired !== null);
    expect(old.last('welcome').signature).toBeUndefined();
  });

  it('and speaks no older protocol than its operator allows', async () => {
    const old = await control.agent();
    await control.stop();
    const admission = { requireApproval: false, minProtocol: 3 };
    control = await ControlFixture.start({ admission });
    const challenge = await old.open(control.url);
    old.send(await old.hello(challenge, { protocol: 2, nonce: undefined }));
    expect(await refusedWith(old)).toBe('unsupported-protocol');
  });
});

describe('REVOKE-1: an agent that is revoked', () => {
  it('loses its link within a second, is told so by the control plane, and never comes back', async () => {
    const [agent, other] = [await control.agent(), await control.agent()];
    const began = performance.now();
    await control.hub.agents.revoke(idOf(agent), 'stolen', ACTOR);
    expect(await refusedWith(agent)).toBe('revoked');
    expect(performance.now() - began).toBeLessThan(1000);
    expect([agent.proven, agent.last('refused').retryAfterMs]).toEqual([true, null]);
    await agent.join(control.url, null);
    expect(await refusedWith(agent)).toBe('revoked');
    expect(other.closed).toBeNull();
    expect(control.hub.fleet.connected()).toEqual(new Set([other.id]));
    const { agents } = await control.hub.fleet.confirmations('loans', 0, 0);
    expect(agents.map(({ id }) => id)).toEqual([other.id]);
    expect(await actions()).toContain('agent.revoked');
  });

  it('is out although its hello was under way', async () => {
    const agent = await control.agent();
    await agent.cut();
    const challenge = await agent.open(control.url);
    const hello = await agent.hello(challenge, {});
    agent.send(hello);
    await control.hub.agents.revoke(idOf(agent), 'stolen', ACTOR);
    expect(await refusedWith(agent)).toBe('revoked');
    expect(control.hub.fleet.connected().size).toBe(0);
  });
});

describe('an agent that comes back as it was', () => {
  /** Until the returned function is called, nothing is written. */
  function block(): () => void {
    let free = (): void => undefined;
    const freed = new Promise<void>((resolve) => {
      free = resolve;
    });
    void control.store.write(() => freed);
    return free;
  }

  it('is welcomed without a write of its own, and was seen', async () => {
    const agent = await control.agent();
    await agent.until(() => agent.desired !== null);
    await agent.cut();
    await control.store.write((tx) => touchAgents(tx, [idOf(agent)], 1));
    const free = block();
    const challenge = await agent.open(control.url);
    agent.send(await agent.hello(challenge, {}));
    const welcomes = () => agent.received.filter(({ kind }) => kind === 'welcome').length;
    const before = welcomes();
    await agent.until(() => welcomes() > before || agent.closed !== null);
    expect(agent.closed).toBeNull();
    const seen = async () => (await findAgent(control.store.read, idOf(agent)))?.lastSeenAt ?? 0;
    expect(await seen()).toBe(1);
    free();
    await agent.until(() => control.hub.fleet.connected().has(idOf(agent)));
    expect(Date.now() - (await seen())).toBeLessThan(60_000);
  });

  it('is written down anew when it says something else of itself', async () => {
    const agent = await control.agent();
    await agent.cut();
    const challenge = await agent.open(control.url);
    const hello = await agent.hello(challenge, {});
    agent.send({ ...hello, capabilities: { ...hello.capabilities, cores: 7 } });
    await agent.until(() => control.hub.fleet.connected().has(idOf(agent)));
    const row = await findAgent(control.store.read, idOf(agent));
    expect(row?.capabilities.cores).toBe(7);
  });

  it('has the document that was put in force while it linked', async () => {
    const selector = { pool: 'new' };
    await control.store.write((tx) => updateDeployment(tx, 'loans', { selector, updatedAt: 2 }));
    const agent = await control.agent();
    await agent.until(() => agent.desired !== null);
    expect(agent.desired?.deployments).toEqual([]);
    await agent.cut();
    const challenge = await agent.open(control.url);
    const free = block();
    agent.send(await agent.hello(challenge, {}));
    // Until it waits behind the write that holds all others up; the change waits behind it.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const labelled = control.hub.agents.label(idOf(agent), { pool: 'new' }, ACTOR);
    free();
    await labelled;
    await agent.until(() => agent.desired?.deployments.length === 1);
  });

  it('REVOKE-1: is in no list when it is revoked in the commit of its hello, and goes meanwhile', async () => {
    const agent = await control.agent();
    await agent.cut();
    const challenge = await agent.open(control.url);
    const hello = await agent.hello(challenge, {});
    const free = block();
    agent.send({ ...hello, capabilities: { ...hello.capabilities, cores: 7 } });
    // Until its hello waits behind the write that holds all others up.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const revoked = control.hub.agents.revoke(idOf(agent), 'stolen', ACTOR);
    await agent.cut();
    free();
    await revoked;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { agents } = await control.hub.fleet.confirmations('loans', 0, 0);
    expect(agents).toEqual([]);
  });
});

describe('HELLO-13: a control plane that asks for approval', () => {
  async function pending(): Promise<LinkAgent> {
    await control.stop();
    control = await ControlFixture.start({ admission: { requireApproval: true, minProtocol: 1 } });
    const agent = await LinkAgent.create();
    const token = await control.token();
    const challenge = await agent.open(control.url);
    const join = { token, name: 'new', labels: {} };
    agent.send(await agent.hello(challenge, { join }));
    await agent.until(() => agent.received.some(({ kind }) => kind === 'pending'));
    return agent;
  }

  it('holds a new agent, gives it nothing, and lets it in by its fingerprint', async () => {
    const agent = await pending();
    expect(agent.proven).toBe(true);
    const { agents, fleet } = control.hub;
    expect([agents.isHeld(idOf(agent)), fleet.connected().size]).toEqual([true, 0]);
    await fleet.reconcile('test');
    const wrong = '0'.repeat(16);
    await expect(agents.approve(idOf(agent), { fingerprint: wrong }, ACTOR)).rejects.toThrow(
      'not 0000',
    );
    expect(agent.received.map(({ kind }) => kind)).toEqual(['challenge', 'pending']);
    const shown = (await fingerprint(agent)).slice(0, 16);
    await agents.approve(idOf(agent), { fingerprint: shown }, ACTOR);
    await agent.until(() => agent.desired !== null);
    expect(agent.received.map(({ kind }) => kind)).toEqual([
      ...['challenge', 'pending', 'welcome', 'desired'],
    ]);
    expect(fleet.connected()).toEqual(new Set([agent.id]));
    expect(await actions()).toEqual(['root.published', 'agent.joined', 'agent.approved']);
  });

  it('takes nothing from one that waits', async () => {
    const agent = await pending();
    agent.send({ kind: 'event', at: 0, name: 'fell-back', detail: '' });
    expect(await refusedWith(agent)).toBe('unexpected-message');
  });

  it('knows it again by its key, and revokes it where it waits', async () => {
    const agent = await pending();
    await agent.cut();
    const challenge = await agent.open(control.url);
    agent.send(await agent.hello(challenge, {}));
    await agent.until(() => agent.received.some(({ kind }) => kind === 'pending'));
    await control.hub.agents.revoke(idOf(agent), 'unknown', ACTOR);
    expect(await refusedWith(agent)).toBe('revoked');
  });

  it('may ask for it by the token alone, and sends an agent of protocol 2 away for a while', async () => {
    const make = { labels: {}, createdBy: 'test', expiresAt: Date.now() + 60_000 };
    const sealed = await fingerprintOf(control.key.publicKey);
    const { text: token } = await control.store.write((tx) =>
      createJoinToken(tx, { ...make, fingerprint: sealed, requireApproval: true }, Date.now()),
    );
    const agent = await LinkAgent.create();
    const challenge = await agent.open(control.url);
    const join = { token, name: 'new', labels: {} };
    agent.send(await agent.hello(challenge, { protocol: 2, nonce: undefined, join }));
    expect(await refusedWith(agent)).toBe('pending-approval');
    expect(agent.last('refused').retryAfterMs).toBe(30_000);
  });
});

describe('ROTATE-2: an agent that rotates its key', () => {
  async function rotated(agent: LinkAgent, signer = agent.key): Promise<Rotation> {
    const next = (await generateSigningKey()).key;
    const previousKey = new Uint8Array(agent.key.publicKey);
    const transcript = rotationTranscript(idOf(agent), previousKey, next.publicKey);
    const signature = await signBytes(signer, transcript);
    agent.key = next;
    return { previousKey, signature };
  }

  async function comeBack(agent: LinkAgent, rotation: Rotation | null): Promise<void> {
    if (agent.closed === null) await agent.cut();
    const challenge = await agent.open(control.url);
    agent.send(await agent.hello(challenge, { rotation }));
    await agent.until(() => agent.desired !== null || agent.closed !== null);
  }

  it('is known by the new key from then on, and the old one is worth nothing', async () => {
    const agent = await control.agent();
    const thief = Object.assign(await LinkAgent.create(), { key: agent.key, id: agent.id });
    const rotation = await rotated(agent);
    await comeBack(agent, rotation);
    expect(agent.last('welcome').agent).toBe(agent.id);
    expect(await actions()).toContain('agent.key-rotated');
    await thief.join(control.url, null);
    expect(await refusedWith(thief)).toBe('bad-proof');
    // A crash before it wrote that down: the same hello again, and again with nothing to say.
    await comeBack(agent, rotation);
    expect(agent.closed).toBeNull();
    await comeBack(agent, null);
    expect(agent.closed).toBeNull();
  });

  it('is refused when another key signed, or the old key hands over a second time', async () => {
    const agent = await control.agent();
    const old = agent.key;
    const forged = await rotated(agent, (await generateSigningKey()).key);
    await comeBack(agent, forged);
    expect(await refusedWith(agent)).toBe('bad-proof');
    agent.key = old;
    await comeBack(agent, await rotated(agent));
    const thief = Object.assign(await LinkAgent.create(), { key: old, id: agent.id });
    const again = await rotated(thief);
    await comeBack(Object.assign(thief, { closed: { code: 0, reason: '' } }), again);
    expect(await refusedWith(thief)).toBe('bad-proof');
    expect(agent.closed).toBeNull();
  });
});

describe('what an agent may claim', () => {
  it('LABEL-1: its own labels stand under a prefix, and those of its token as they are', async () => {
    const agent = await LinkAgent.create();
    const labels = { site: 'vault', rack: '7', ['x'.repeat(124)]: 'too long with its prefix' };
    await agent.join(control.url, await control.token({ site: 'lab' }), 'host', labels);
    const [, joined] = await eventsAfter(control.store.read, 0, 2);
    const own = { 'self.site': 'vault', 'self.rack': '7' };
    expect(joined.detail.labels).toEqual({ site: 'lab', ...own });
    const row = await control.hub.agents.label(idOf(agent), { site: 'vault' }, ACTOR);
    expect(row.labels).toEqual({ site: 'vault', ...own });
  });
});

it('DESIRED-14: a control plane put back from a backup gives newer documents than it ever gave', async () => {
  const agent = await control.agent();
  const copy = async (from: string, to: string) => {
    const names = (await readdir(control.dir)).filter((name) => name.startsWith(`${from}.db`));
    for (const name of names) {
      await copyFile(join(control.dir, name), join(control.dir, name.replace(from, to)));
    }
  };
  await control.restart(() => copy('driftline', 'backup'));
  await agent.join(control.url, null);
  // What is asked for after the backup was made.
  await putOff();
  const { generation = 0 } = agent.desired ?? {};
  await control.restart(() => copy('backup', 'driftline'));
  expect((await findDesired(control.store.read, idOf(agent)))?.generation).toBeLessThan(generation);
  const challenge = await agent.open(control.url);
  agent.send(await agent.hello(challenge, { generation }));
  await agent.until(() => agent.desired !== null);
  expect(agent.desired?.generation).toBeGreaterThan(generation);
});

/** Gives the fleet another document. */
async function putOff(): Promise<void> {
  const [agent] = control.agents;
  await control.store.write((tx) => updateDeployment(tx, 'loans', { version: 2, updatedAt: 1 }));
  await control.hub.fleet.reconcile('test');
  await agent.until(() => agent.arms('loans')?.[0]?.[1] === 2);
}
