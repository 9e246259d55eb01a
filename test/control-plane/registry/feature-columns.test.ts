import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlApp, pushExample } from '../../support/control-app.ts';

let app: ControlApp;
const PATH = '/api/v1/deployments/loans';
const put = (columns: object[], more: object = {}) => {
  const entities = [{ name: 'loan_id', datatype: 'INT64' }];
  const serving = { features: { server: 'loans', entities, columns, ...more } };
  return app.ask('PUT', PATH, { json: { model: 'mortgage', version: 1, serving } });
};

beforeAll(async () => {
  app = await ControlApp.open();
  await pushExample(app, 'v1');
});
afterAll(() => app.close());

test('a deployment says which columns its hosts fetch', async () => {
  const response = await put([{ feature: 'loans:ltv', tensor: 'features', index: 2 }]);
  expect(response.status, await response.clone().text()).toBe(201);
  const shown = (await (await app.ask('GET', PATH)).json()) as { serving: object };
  expect(shown.serving).toMatchObject({
    features: { server: 'loans', timeoutMs: 50, onMissing: 'refuse' },
  });
});

test.each<[object[], object, RegExp]>([
  [[{ feature: 'loans:ltv', tensor: 'x' }], {}, /mortgage@1: .*goes into "x", but .*"features"/],
  [[{ feature: 'loans:ltv', tensor: 'features', index: 99 }], {}, /index 99 of "features"/],
  [[{ feature: 'ltv', tensor: 'features' }], {}, /view:feature/],
  [[{ feature: 'loans:ltv', tensor: 'features' }], { url: 'http://x' }, /url/],
])('columns %j that no version has are refused', async (columns, more, told) => {
  const response = await put(columns, more);
  const { detail } = (await response.json()) as { detail: string };
  expect([400, 409, 422]).toContain(response.status);
  expect(detail).toMatch(told);
});
