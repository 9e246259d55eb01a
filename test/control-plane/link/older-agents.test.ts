import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { windowsBetween } from '../../../control-plane/store/telemetry.ts';
import type { AgentId } from '../../../protocol/ids.ts';
import { encodeWindow, KEPT_FORMAT } from '../../../protocol/sketch/codec.ts';
import { encodeUp } from '../../../protocol/wire.ts';
import { encodeFormat1 } from '../../protocol/sketch/older-format.ts';
import { ControlApp, exampleModel, pushExample } from '../../support/control-app.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

/** Hosts that speak as those of older protocols did, to the control plane of this build. */

/** The kinds of messages that protocol 1 has: an agent of it drops the link on another. */
const KNOWN = new Set(['challenge', 'welcome', 'desired', 'ack']);
const idOf = ({ id }: LinkAgent): AgentId => id ?? '';

/** A host that has joined and says hello as an older one: without a nonce, which asks for a proof. */
async function comesBackAs(agent: LinkAgent, url: string, protocol: number): Promise<void> {
  await agent.cut();
  const challenge = await agent.open(url);
  agent.send(await agent.hello(challenge, { protocol, nonce: undefined }));
  await agent.until(() => agent.desired !== null || agent.closed !== null);
}

describe.each([1, 2])('an agent of protocol %i', (protocol) => {
  let control: ControlFixture;
  afterEach(() => control.stop());

  async function linked(): Promise<LinkAgent> {
    control = await ControlFixture.start();
    const lease = { durationMs: 2_000, afterwards: 'stop' } as const;
    const change = { pinned: [3], lease, guard: { maxNonFinite: 0 }, updatedAt: 1 };
    await control.store.write((tx) => updateDeployment(tx, 'loans', change));
    const agent = await control.agent();
    await comesBackAs(agent, control.url, protocol);
    return agent;
  }

  it('links, and gets documents that it can read, signed for it alone', async () => {
    const agent = await linked();
    expect([agent.last('welcome').protocol, agent.last('welcome').signature]).toEqual([
      protocol,
      undefined,
    ]);
    expect(agent.last('desired').envelope.inclusion).toBeUndefined();
    const pinned = protocol < 2 ? [] : [['pinned', 3, 0]];
    expect(agent.arms('loans')).toEqual([['stable', 1, 1], ...pinned]);
    const [newer] = [await control.agent(), await control.agent()];
    const { rollouts, fleet } = control.hub;
    const back = await rollouts.rollback('loans', { to: 2, reason: 'x' }, 'token:ops');
    const { agents } = await fleet.confirmations('loans', back.generation, 15_000);
    expect(agents.map(({ confirmedAfterMs }) => confirmedAfterMs !== null)).toEqual([
      true,
      true,
      true,
    ]);
    expect(agent.arms('loans')?.[0]).toEqual(['stable', 2, 1]);
    expect(newer.last('desired').envelope.inclusion?.size).toBe(2);
    expect(agent.last('desired').envelope.inclusion).toBeUndefined();
  });

  it('has its windows merged once, and is told nothing that it does not know', async () => {
    const agent = await linked();
    const windowStartMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
    // Numbered, and told how far its clock is off, only since protocol 3.
    const telemetry = {
      ...{ kind: 'telemetry', boot: agent.boot, sequence: 1, deployment: 'loans' },
      ...{ manifest: control.manifests[0], arm: 'stable', windowStartMs, windowMs: WINDOW_MS },
      body: encodeFormat1(syntheticWindow(seeded(1), { rows: 25 })),
    };
    const frame = Uint8Array.from(encodeUp(telemetry as never));
    agent.raw(frame);
    agent.raw(frame);
    await agent.until(() => agent.acknowledged === 2);
    const rows = await windowsBetween(control.store.read, 'loans', 0, Number.MAX_SAFE_INTEGER);
    expect(rows).toMatchObject([{ agentId: agent.id, rows: 25, parts: 1 }]);
    expect(agent.received.filter(({ kind }) => !KNOWN.has(kind))).toEqual([]);
    expect(agent.closed).toBeNull();
  });

  it('is sent no command that it does not know: who asks is told to update it', async () => {
    const agent = await linked();
    const { commands } = control.hub;
    const newer = ['drain', 'undrain', 'restart-engines', 'diagnostics', 'rotate-key'] as const;
    for (const name of newer) {
      const told = `agent ${agent.id} speaks protocol ${protocol}; "${name}" needs 3: update it`;
      await expect(commands.send(idOf(agent), { name }, 5_000, 'token:ops')).rejects.toThrow(told);
    }
    expect(agent.received.some(({ kind }) => kind === 'command')).toBe(false);
    const tune = { name: 'tune', deployment: 'loans' } as const;
    const sent = commands.send(idOf(agent), tune, 5_000, 'token:ops');
    const kept = sent.catch((error: Error) => error.message);
    if (protocol === 1) {
      expect(await kept).toContain('"tune" needs 2');
    } else {
      await agent.until(() => agent.received.some(({ kind }) => kind === 'command'));
      await agent.cut();
      expect(await kept).toContain('went away');
    }
  });
});

describe('files for an agent of protocol 2', () => {
  let app: ControlApp;
  let server: Server;
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await app.close();
  });

  it('come whole or from where they stopped, by the token of its welcome', async () => {
    app = await ControlApp.open();
    server = createServer();
    server.on('upgrade', (request, socket, head) => {
      app.hub.handleUpgrade(request, socket, head as Buffer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`;
    await pushExample(app, 'v1');
    await app.ask('PUT', '/api/v1/deployments/loans', { json: { model: 'mortgage', version: 1 } });
    const made = await app.ask('POST', '/api/v1/join-tokens', { json: {} });
    const { token } = (await made.json()) as { token: string };
    const agent = await (await LinkAgent.create()).join(url, token);
    await comesBackAs(agent, url, 2);
    const model = await exampleModel('v1');
    const digest = `sha256:${createHash('sha256').update(model).digest('hex')}`;
    const get = async (headers: Record<string, string>) => {
      const ask = { bearer: agent.downloadToken, headers };
      const response = await app.ask('GET', `/api/v1/artifacts/${digest}`, ask);
      return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
    };
    expect(await get({})).toEqual({ status: 200, bytes: model });
    expect(await get({ range: 'bytes=1000-' })).toEqual({
      status: 206,
      bytes: model.slice(1000),
    });
    const manifest = agent.desired?.deployments[0]?.arms[0]?.manifest;
    const path = `/api/v1/artifacts/${manifest}`;
    expect((await app.ask('GET', path, { bearer: agent.downloadToken })).status).toBe(200);
    await agent.cut();
  });
});

describe('an agent of protocol 3', () => {
  it('links as before, has its windows merged, and is not told that the control plane is alive', async () => {
    const control = await ControlFixture.start({ pingIntervalMs: 20 });
    try {
      const agent = await control.agent();
      await agent.cut();
      const challenge = await agent.open(control.url);
      const hello = await agent.hello(challenge, { protocol: 3 });
      agent.send({ ...hello, capabilities: { ...hello.capabilities, runtime: 'browser' } });
      await agent.until(() => agent.desired !== null);
      expect(agent.last('welcome').protocol).toBe(3);
      expect(agent.proven).toBe(true);
      const windowStartMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
      const place = { deployment: 'loans', manifest: control.manifests[0], arm: 'stable' as const };
      const window = syntheticWindow(seeded(1), { rows: 25 });
      const { boot } = agent;
      agent.send({
        ...{ kind: 'telemetry', boot, sequence: 1, clockAheadMs: null, windows: 1 },
        ...{ ...place, windowStartMs, windowMs: WINDOW_MS },
        body: encodeWindow(window, KEPT_FORMAT),
      });
      await agent.until(() => agent.acknowledged >= 1);
      const rows = await windowsBetween(control.store.read, 'loans', 0, Number.MAX_SAFE_INTEGER);
      expect(rows).toMatchObject([{ agentId: agent.id, rows: 25, parts: 1 }]);
      // A page of this protocol's successor is told with each ping, many of which there were meanwhile.
      const newer = await control.agent();
      await newer.cut();
      const again = await newer.hello(await newer.open(control.url), {});
      newer.send({ ...again, capabilities: { ...again.capabilities, runtime: 'browser' } });
      await newer.until(() => newer.received.filter(({ kind }) => kind === 'alive').length > 1);
      expect(agent.received.map(({ kind }) => kind)).not.toContain('alive');
    } finally {
      await control.stop();
    }
  });
});
