import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import type { AgentView } from '../../../control-plane/http/agents.ts';
import type { Deployment } from '../../../control-plane/http/deployments.ts';
import { insertAgent } from '../../../control-plane/store/agents.ts';
import { UNRESTRICTED } from '../../../protocol/residency.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

const AGENT = `agt_${'7'.repeat(24)}`;
const PATH = `/api/v1/agents/${AGENT}`;
const DECISION = `/api/v1/decisions/${'7'.repeat(12)}.a.b.c`;

let app: ControlApp;

beforeAll(async () => {
  app = await ControlApp.open();
  const capabilities = {
    ...{ runtime: 'node' as const, runtimeVersion: '20', platform: 'linux' },
    ...{ cores: 1, engines: 1, providers: ['cpu'] },
  };
  const agent = { id: AGENT, name: 'edge', labels: {}, serving: null, capabilities };
  await app.store.write((tx) => insertAgent(tx, { ...agent, publicKey: new Uint8Array(32) }, 1));
  const version = await pushExample(app, 'v1');
  await app.ask('PUT', '/api/v1/deployments/loans', { json: { model: 'mortgage', version } });
});
afterAll(() => app.close());

async function ask<T = { kind: string; detail: string }>(
  method: string,
  path: string,
  json?: unknown,
) {
  const response = await app.ask(method, path, { json });
  return { status: response.status, body: (await response.json()) as T };
}

const deploy = (residency: unknown) =>
  ask<Deployment>('PUT', '/api/v1/deployments/loans', {
    ...{ model: 'mortgage', version: 1, residency },
  });

describe('commands over the API', () => {
  test.each([
    ['drain', undefined],
    ['undrain', undefined],
    ['restart-engines', undefined],
    ['diagnostics', undefined],
    ['log-level', { level: 'debug', forMs: 1000 }],
  ])('%s of a host that is away is refused, and recorded', async (what, json) => {
    const { status, body } = await ask('POST', `${PATH}/${what}`, json);
    expect([status, body.kind]).toEqual([503, 'unavailable']);
    const unknown = await ask('POST', `/api/v1/agents/agt_${'8'.repeat(24)}/${what}`, json);
    expect(unknown.status).toBe(404);
    const events = await eventsAfter(app.store.read, 0, 1000);
    expect(events.at(-1)).toMatchObject({
      ...{ actor: 'token:admin', subject: `agent:${AGENT}` },
      detail: { ...json, outcome: 'not-linked' },
    });
  });

  test('a log level has a name of the list and an end within a day', async () => {
    const wrong = [
      { level: 'loud', forMs: 1000 },
      { level: 'debug', forMs: 999 },
      { level: 'debug', forMs: 86_400_001 },
      { level: 'debug' },
      { level: 'debug', forMs: 1000, exec: 'ls' },
    ];
    for (const json of wrong) {
      expect((await ask('POST', `${PATH}/log-level`, json)).status).toBe(400);
    }
  });

  test('a decision is asked for by a whole id, a deployment and a row', async () => {
    const bad = await ask('GET', '/api/v1/decisions/7.a.b?deployment=loans');
    expect([bad.status, bad.body.detail]).toEqual([400, expect.stringContaining('decision_id')]);
    expect((await ask('GET', DECISION)).status).toBe(400);
    expect((await ask('GET', `${DECISION}?deployment=loans&row=-1`)).status).toBe(400);
    expect((await ask('GET', `${DECISION}?deployment=cards`)).status).toBe(404);
    expect((await ask('GET', `${DECISION}?deployment=loans`)).status).toBe(503);
    const viewer = await app.ask('GET', `${DECISION}?deployment=loans`, { as: 'viewer' });
    expect(viewer.status).toBe(403);
  });

  test('are described, each with its permission', async () => {
    const { paths } = (await (await app.ask('GET', '/api/v1/openapi.json')).json()) as {
      paths: Record<string, Record<string, { 'x-permission': string }>>;
    };
    const of = (path: string, method: string) => paths[path]?.[method]?.['x-permission'];
    expect(of('/api/v1/agents/{agent}/drain', 'post')).toBe('host:operate');
    expect(of('/api/v1/decisions/{decision}', 'get')).toBe('decision:read');
    expect(of('/api/v1/agents/{agent}/jurisdiction', 'put')).toBe('fleet:enrol');
  });
});

describe('where things may be', () => {
  test('RESIDENCY-1: a jurisdiction is given to an agent and taken from it by who may enrol', async () => {
    const put = (jurisdiction: unknown) =>
      ask<AgentView>('PUT', `${PATH}/jurisdiction`, { jurisdiction });
    expect((await put('eu')).body.jurisdiction).toBe('eu');
    expect((await put('EU!')).status).toBe(400);
    expect((await put(null)).body.jurisdiction).toBeNull();
    const json = { jurisdiction: 'eu' };
    const operator = await app.ask('PUT', `${PATH}/jurisdiction`, { json, as: 'operator' });
    expect(operator.status).toBe(403);
    expect((await ask('POST', '/api/v1/join-tokens', json)).status).toBe(201);
    expect((await ask('POST', '/api/v1/join-tokens', { jurisdiction: '1' })).status).toBe(400);
  });

  test('a policy is given as a whole, kept when it is not given, and lifted by {}', async () => {
    const { body } = await deploy({ jurisdictions: ['eu'] });
    const reach = { telemetry: 'within', outcomes: 'anywhere', decisions: 'within' };
    const eu = { jurisdictions: ['eu'], ...reach };
    expect(body.residency).toEqual(eu);
    expect((await deploy(undefined)).body.residency).toEqual(eu);
    expect((await deploy({ jurisdictions: ['eu', 'eu'] })).status).toBe(400);
    expect((await deploy({ countries: ['eu'] })).status).toBe(400);
    expect((await deploy({})).body.residency).toEqual(UNRESTRICTED);
  });

  test('RESIDENCY-4: a decision that may not leave is a problem of its own kind', async () => {
    await deploy({ jurisdictions: ['eu'] });
    const { status, body } = await ask('GET', `${DECISION}?deployment=loans`);
    expect([status, body.kind]).toEqual([451, 'residency']);
    expect(body.detail).toBe(
      'host-outside: the host is in no jurisdiction that was named, and the deployment is restricted to eu',
    );
    await deploy({});
  });
});
