import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api } from '../../../control-plane/http/api.ts';
import { GRANTS } from '../../../control-plane/http/auth.ts';
import { issueDownloadToken } from '../../../control-plane/link/download-token.ts';
import { insertAgent } from '../../../control-plane/store/agents.ts';
import { ControlApp } from '../../support/control-app.ts';

const AGENT = `agt_${'7'.repeat(24)}`;
const CALLERS = ['admin', 'operator', 'viewer', 'agent', 'nobody', 'stranger'] as const;
const DIGEST = `sha256:${'0'.repeat(64)}`;

let app: ControlApp;
let agentToken: string;

beforeAll(async () => {
  app = await ControlApp.open();
  await app.store.write((tx) =>
    insertAgent(
      tx,
      {
        id: AGENT,
        name: 'edge',
        publicKey: new Uint8Array(32),
        labels: {},
        serving: null,
        capabilities: {
          runtime: 'node',
          runtimeVersion: '20',
          platform: 'linux',
          cores: 1,
          engines: 1,
          providers: ['cpu'],
        },
      },
      Date.now(),
    ),
  );
  agentToken = await issueDownloadToken(app.key, AGENT, Date.now());
});

afterAll(() => app.close());

function asking(caller: (typeof CALLERS)[number]) {
  if (caller === 'nobody') return { as: null };
  if (caller === 'stranger') return { bearer: `dlt_${'x'.repeat(43)}` };
  return caller === 'agent' ? { bearer: agentToken } : { as: caller };
}

/** Puts something into each path parameter that passes its schema, and exists nowhere. */
function concrete(path: string): string {
  return path
    .replace('{digest}', DIGEST)
    .replace('{version}', '1')
    .replace('{token}', `tok_${'0'.repeat(16)}`)
    .replaceAll(/\{\w+\}/g, 'nothing');
}

describe('routes × roles', () => {
  test('every handler in the router was declared with a permission', () => {
    const declared = new Set(
      app.api.declared.map(
        ({ method, path }) => `${method} ${path.replaceAll(/\/{(.+?)}/g, '/:$1')}`,
      ),
    );
    const mounted = app.api.hono.routes.filter(({ method }) => method !== 'ALL');
    expect(declared.size).toBeGreaterThan(25);
    expect(new Set(mounted.map(({ method, path }) => `${method} ${path}`))).toEqual(declared);
  });

  test('a caller passes exactly where its role is granted', async () => {
    for (const { method, path, permission } of app.api.declared) {
      if (path === '/api/v1/events') continue;
      for (const caller of CALLERS) {
        const { status } = await app.ask(method, concrete(path), asking(caller));
        const granted: readonly string[] = permission === 'public' ? CALLERS : GRANTS[permission];
        const known = caller !== 'nobody' && caller !== 'stranger';
        const where = `${caller}: ${method} ${path} → ${status}`;
        if (!known && permission !== 'public') expect(status, where).toBe(401);
        // Granted to agents is what their desired state names; this agent has none.
        else if (!granted.includes(caller) || caller === 'agent') {
          expect(status === 403 || permission === 'public', where).toBe(true);
        } else expect([401, 403], where).not.toContain(status);
      }
    }
  });

  test('the event stream is for readers of the record', async () => {
    expect((await app.ask('GET', '/api/v1/events', asking('agent'))).status).toBe(403);
    expect((await app.ask('GET', '/api/v1/events', asking('nobody'))).status).toBe(401);
  });

  test('a route without a permission does not mount', () => {
    const api = new Api({ store: app.store, key: app.key, now: Date.now });
    const config = { method: 'get' as const, path: '/x', responses: { 200: { description: '' } } };
    const forgotten = undefined as unknown as 'public';
    expect(() => api.route(forgotten, config, (c) => c.text('x'))).toThrow('no permission');
    expect(api.hono.routes).toEqual([]);
  });
});

test('a token is refused once revoked, a download token once expired or forged', async () => {
  const made = await app.ask('POST', '/api/v1/tokens', { json: { name: 'ci', role: 'viewer' } });
  const { id, token } = (await made.json()) as { id: string; token: string };
  expect((await app.ask('GET', '/api/v1/models', { bearer: token })).status).toBe(200);
  expect((await app.ask('DELETE', `/api/v1/tokens/${id}`)).status).toBe(204);
  expect((await app.ask('GET', '/api/v1/models', { bearer: token })).status).toBe(401);
  expect((await app.ask('DELETE', `/api/v1/tokens/${id}`)).status).toBe(404);

  const path = `/api/v1/artifacts/${DIGEST}`;
  const old = await issueDownloadToken(app.key, AGENT, 0);
  expect((await app.ask('GET', path, { bearer: old })).status).toBe(401);
  const forged = agentToken.replace(/.$/, (c) => (c === 'A' ? 'Q' : 'A'));
  expect((await app.ask('GET', path, { bearer: forged })).status).toBe(401);
  expect((await app.ask('GET', path, { bearer: 'x'.repeat(5000) })).status).toBe(401);
});
