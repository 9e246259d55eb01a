import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentView } from '../../../control-plane/http/agents.ts';
import { insertAgent } from '../../../control-plane/store/agents.ts';
import { versions } from '../../../control-plane/store/schema.ts';
import { fingerprintOf } from '../../../protocol/signing.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';
import { LinkAgent } from '../../support/link-agent.ts';

const AGENT = `agt_${'7'.repeat(24)}`;
const PATH = `/api/v1/agents/${AGENT}`;
const KEY = new Uint8Array(32).fill(3);

let app: ControlApp;

beforeAll(async () => {
  app = await ControlApp.open();
  const capabilities = {
    ...{ runtime: 'node' as const, runtimeVersion: '20', platform: 'linux' },
    ...{ cores: 1, engines: 1, providers: ['cpu'] },
  };
  const labels = { site: 'lab', 'self.rack': '7' };
  const agent = { id: AGENT, name: 'edge', publicKey: KEY, labels, serving: null, capabilities };
  await app.store.write((tx) => insertAgent(tx, { ...agent, approvedAt: null }, Date.now()));
});
afterAll(() => app.close());

async function ask(method: string, path: string, json?: unknown) {
  const response = await app.ask(method, path, { json });
  return {
    status: response.status,
    body: (await response.json()) as AgentView & { detail: string },
  };
}

test('an agent that waits is shown with its fingerprint, and let in by it alone', async () => {
  const fingerprint = await fingerprintOf(KEY);
  expect((await ask('GET', PATH)).body).toMatchObject({ state: 'pending', fingerprint });
  const wrong = await ask('POST', `${PATH}/approve`, { fingerprint: 'f'.repeat(16) });
  expect([wrong.status, wrong.body.detail]).toEqual([409, expect.stringContaining('compare it')]);
  expect((await ask('POST', `${PATH}/approve`, { fingerprint: 'f' })).status).toBe(400);
  const approved = await ask('POST', `${PATH}/approve`, { fingerprint });
  expect(approved.body).toMatchObject({ state: 'active', connected: false });
  expect(approved.body.approvedAt).toBeGreaterThan(0);
});

test('labels are given as a whole, and those that a host says of itself stay its own', async () => {
  const { body } = await ask('PUT', `${PATH}/labels`, { tier: 'gold' });
  expect(body.labels).toEqual({ tier: 'gold', 'self.rack': '7' });
  const claimed = await ask('PUT', `${PATH}/labels`, { 'self.rack': '8' });
  expect([claimed.status, claimed.body.detail]).toEqual([400, expect.stringContaining('self.')]);
  const token = await ask('POST', '/api/v1/join-tokens', { labels: { 'self.x': 'y' } });
  expect(token.status).toBe(400);
});

test('PROGRESS-2: what a linked host downloads is shown, by the name of the version', async () => {
  await pushExample(app, 'v1');
  const [row] = await app.store.read.select().from(versions);
  const server = createServer();
  server.on('upgrade', (request, socket, head) => app.hub.handleUpgrade(request, socket, head));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made = await app.ask('POST', '/api/v1/join-tokens', { json: {} });
  const { token } = (await made.json()) as { token: string };
  const agent = await LinkAgent.create();
  await agent.join(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`, token);
  const path = `/api/v1/agents/${agent.id}`;
  expect((await ask('GET', path)).body.downloads).toEqual([]);
  const other = `sha256:${'9'.repeat(64)}`;
  const downloads = [row.manifest, other].map((manifest) => ({
    ...{ manifest, digest: other, doneBytes: 1, totalBytes: 4 },
  }));
  agent.send({ kind: 'progress', at: 0, downloads });
  while (app.hub.fleet.downloads(agent.id ?? '').length === 0) await new Promise(setImmediate);
  expect((await ask('GET', path)).body.downloads).toEqual([
    { ...downloads[0], version: 'mortgage@1' },
    { ...downloads[1], version: null },
  ]);
  await agent.cut();
  server.close();
});

test('a key of a host that is away is not rotated', async () => {
  const { status, body } = await ask('POST', `${PATH}/rotate-key`);
  expect([status, body.detail]).toEqual([503, expect.stringContaining('is not connected')]);
});

test('a join token is good for 15 minutes by default, and for a day at most', async () => {
  const response = await app.ask('POST', '/api/v1/join-tokens', { json: {} });
  const { expiresAt } = (await response.json()) as { expiresAt: number };
  expect(expiresAt - Date.now()).toBeLessThanOrEqual(15 * 60_000);
  expect(expiresAt - Date.now()).toBeGreaterThan(14 * 60_000);
  const long = await ask('POST', '/api/v1/join-tokens', { ttlMs: 24 * 3_600_000 + 1 });
  expect(long.status).toBe(400);
});

test('a revoked agent stays in the list and is out of all else', async () => {
  const { body } = await ask('POST', `${PATH}/revoke`, { reason: 'stolen' });
  expect(body.state).toBe('revoked');
  expect((await ask('POST', `${PATH}/approve`, { fingerprint: '0'.repeat(16) })).status).toBe(409);
  expect((await ask('PUT', `${PATH}/labels`, {})).status).toBe(409);
  expect((await ask('POST', `${PATH}/revoke`, { reason: '' })).status).toBe(400);
  const unknown = `/api/v1/agents/agt_${'8'.repeat(24)}`;
  expect((await ask('POST', `${unknown}/revoke`, { reason: 'x' })).status).toBe(404);
  expect((await ask('GET', unknown)).status).toBe(404);
});
