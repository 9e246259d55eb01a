import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { record } from '../../../control-plane/audit/record.ts';
import { MAX_JSON_BODY_BYTES } from '../../../control-plane/http/api.ts';
import { problemSchema } from '../../../control-plane/http/problem.ts';
import { openAlert } from '../../../control-plane/store/alerts.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

let app: ControlApp;

beforeAll(async () => {
  app = await ControlApp.open();
});

afterAll(() => app.close());

const JSON_TYPE = { 'content-type': 'application/json' };

describe('problems', () => {
  test.each([
    [404, 'not-found', 'GET', '/api/v1/models/none', {}],
    [404, 'not-found', 'GET', '/api/v1/nowhere', {}],
    [400, 'invalid', 'GET', '/api/v1/models?limit=0', {}],
    [400, 'invalid', 'GET', '/api/v1/models/a%2fb', {}],
    [400, 'invalid', 'POST', '/api/v1/join-tokens', { body: '{', headers: JSON_TYPE }],
    [400, 'invalid', 'POST', '/api/v1/join-tokens', { body: '[]', headers: JSON_TYPE }],
    [400, 'invalid', 'POST', '/api/v1/join-tokens', { headers: JSON_TYPE }],
    [415, 'invalid', 'POST', '/api/v1/join-tokens', { body: '{}' }],
    [400, 'invalid', 'POST', '/api/v1/join-tokens', { json: { ttlMs: 86_400_001 } }],
    [401, 'unauthenticated', 'GET', '/api/v1/agents', { as: null }],
    [403, 'forbidden', 'POST', '/api/v1/join-tokens', { as: 'viewer' as const, json: {} }],
    [400, 'invalid', 'GET', '/api/v1/deployments/d/monitoring?resolution=fortnight', {}],
  ])('%i %s: %s %s', async (status, kind, method, path, ask) => {
    const response = await app.ask(method, path, ask);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const problem = problemSchema.parse(await response.json());
    expect(problem).toMatchObject({ status, kind, type: `urn:driftline:problem:${kind}` });
  });

  test('a body at the limit is read, one past it is not', async () => {
    const sized = (bytes: number) => {
      const body = JSON.stringify({ labels: {} }).padEnd(bytes, ' ');
      return app.ask('POST', '/api/v1/join-tokens', { body, headers: JSON_TYPE });
    };
    expect((await sized(MAX_JSON_BODY_BYTES)).status).toBe(201);
    const over = await sized(MAX_JSON_BODY_BYTES + 1);
    expect(over.status).toBe(413);
    expect(await over.json()).toMatchObject({ kind: 'too-large' });
  });
});

describe('hosts', () => {
  test.each([
    ['localhost:7700', 200],
    ['127.0.0.1:7700', 200],
    ['[::1]:7700', 200],
    ['192.0.2.7', 200],
    ['Driftline.test', 200],
    ['evil.example', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example:7700', 421],
  ])('%s → %i', async (host, status) => {
    expect((await app.ask('GET', '/healthz', { headers: { host } })).status).toBe(status);
  });
});

describe('pages', () => {
  test('alerts come newest first, page by page', async () => {
    const base = { deployment: 'd', manifest: `sha256:${'a'.repeat(64)}`, detail: {}, openedAt: 1 };
    await app.store.write(async (tx) => {
      for (const kind of ['input-drift', 'prediction-drift', 'errors'] as const) {
        expect(await openAlert(tx, { ...base, kind })).toBeGreaterThan(0);
        expect(await openAlert(tx, { ...base, kind })).toBeNull();
      }
    });
    const kinds: string[] = [];
    let next: string | null = '';
    for (let pages = 0; next !== null; pages += 1) {
      expect(pages).toBeLessThan(3);
      const cursor: string = next === '' ? '' : `&cursor=${next}`;
      const response = await app.ask('GET', `/api/v1/alerts?limit=2&open=true${cursor}`);
      const page = (await response.json()) as { items: { kind: string }[]; next: string | null };
      kinds.push(...page.items.map(({ kind }) => kind));
      next = page.next;
    }
    expect(kinds).toEqual(['errors', 'prediction-drift', 'input-drift']);
  });

  test('models and their versions', async () => {
    await pushExample(app, 'v1');
    await pushExample(app, 'v3');
    const list = await (await app.ask('GET', '/api/v1/models')).json();
    expect(list).toMatchObject({ items: [{ name: 'mortgage', latest: 2 }], next: null });
    const first = await app.ask('GET', '/api/v1/models/mortgage?limit=1');
    expect(await first.json()).toMatchObject({ versions: { items: [{ version: 2 }], next: '2' } });
    const rest = await app.ask('GET', '/api/v1/models/mortgage?limit=1&cursor=2');
    expect(await rest.json()).toMatchObject({ versions: { items: [{ version: 1 }], next: null } });
  });

  test('the record, from a place on', async () => {
    const response = await app.ask('GET', '/api/v1/audit?after=1&limit=1');
    expect(await response.json()).toMatchObject({ items: [{ sequence: 2 }], next: '2' });
  });
});

test('events arrive as they are committed, from the place asked for', async () => {
  const response = await app.ask('GET', '/api/v1/events', { headers: { 'last-event-id': '0' } });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const until = async (word: string) => {
    while (!text.includes(word)) text += (await reader?.read())?.value ?? '';
  };
  await until('id: 1\n');
  await app.store.write((tx) => record(tx, 1, 'system', 'alert.resolved', 'deployment:live'));
  await until('deployment:live');
  expect(text).toContain('event: alert.resolved');
  await reader?.cancel();
});

test('every answer has the security headers', async () => {
  for (const path of ['/healthz', '/docs', '/nowhere', '/api/v1/agents']) {
    const { headers } = await app.ask('GET', path, { as: null });
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
    expect(headers.get('content-security-policy'), path).toContain("default-src 'none'");
    expect(headers.get('x-frame-options'), path).toBe('DENY');
  }
});

test('the API describes itself: each route with its permission, and a page without outside help', async () => {
  const openapi = (await (await app.ask('GET', '/api/v1/openapi.json', { as: null })).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { 'x-permission'?: string }>>;
  };
  expect(openapi.openapi).toBe('3.1.0');
  for (const { method, path, permission } of app.api.declared) {
    const operation = openapi.paths[path]?.[method.toLowerCase()];
    expect(operation?.['x-permission'] ?? 'public', path).toBe(permission);
  }
  const page = await (await app.ask('GET', '/docs', { as: null })).text();
  expect(page).toContain('/api/v1/deployments/{deployment}/rollback');
  expect(page).not.toMatch(/<script|src=|https?:\/\//);
});
