import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlApp, pushExample } from '../../support/control-app.ts';

let app: ControlApp;
const PATH = '/api/v1/deployments/loans';

beforeAll(async () => {
  app = await ControlApp.open();
  await pushExample(app, 'v1');
  await pushExample(app, 'v3');
});

afterAll(() => app.close());

const put = (json: unknown) => app.ask('PUT', PATH, { json });
const audited = async () => {
  const response = await app.ask('GET', '/api/v1/audit?limit=500');
  const { items } = (await response.json()) as { items: { action: string; subject: string }[] };
  return items.filter(({ subject }) => subject === 'deployment:loans').map(({ action }) => action);
};

test('a version that is not there cannot be deployed', async () => {
  const response = await put({ model: 'mortgage', version: 9 });
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ kind: 'not-found' });
  expect((await app.ask('GET', PATH)).status).toBe(404);
  expect(await audited()).toEqual([]);
});

test('created with defaults, changed in what is given, each recorded', async () => {
  const created = await put({ model: 'mortgage', version: 1, to: { site: 'a' } });
  expect(created.status).toBe(201);
  expect(await created.json()).toMatchObject({ to: { site: 'a' }, windowMs: 10_000 });
  const changed = await put({ model: 'mortgage', version: 2, windowMs: 2000 });
  expect(changed.status).toBe(200);
  expect(await changed.json()).toMatchObject({
    version: 2,
    previousVersion: 1,
    to: { site: 'a' },
    windowMs: 2000,
  });
  expect(await audited()).toEqual(['deployment.created', 'deployment.changed']);
  const status = await app.ask('GET', PATH);
  expect(await status.json()).toMatchObject({ version: 2, rollout: null, hosts: { total: 0 } });
});

test('while a rollout is in progress the deployment is not changed beside it', async () => {
  const rollout = await app.ask('POST', `${PATH}/rollouts`, {
    json: { version: 1, canary: { agents: 1 } },
  });
  expect(rollout.status).toBe(201);
  const { id } = (await rollout.json()) as { id: string };
  const response = await put({ model: 'mortgage', version: 1 });
  expect(response.status).toBe(409);
  expect(((await response.json()) as { detail: string }).detail).toContain(id);
  const shown = await app.ask('GET', `/api/v1/rollouts/${id}`);
  expect(await shown.json()).toMatchObject({ id, from: 2, to: 1, createdBy: 'token:admin' });
});

test.each([
  [{ model: 'mortgage', version: 1, windowMs: 499 }, 'windowMs'],
  [{ model: 'mortgage', version: 0 }, 'version'],
  [{ model: '../x', version: 1 }, 'model'],
  [{ model: 'mortgage', version: 1, surprise: true }, 'surprise'],
])('refused before anything is looked up: %j', async (json, word) => {
  const response = await put(json);
  expect(response.status).toBe(400);
  expect(((await response.json()) as { detail: string }).detail).toContain(word);
});
