import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../../control-plane/http/deployments.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

let app: ControlApp;
const PATH = '/api/v1/deployments/loans';

beforeAll(async () => {
  app = await ControlApp.open();
  for (const which of ['v1', 'v2', 'v3'] as const) await pushExample(app, which);
  await put({});
});

afterAll(() => app.close());

const put = (json: object) =>
  app.ask('PUT', PATH, { json: { model: 'mortgage', version: 1, ...json } });
const shown = async () => (await (await app.ask('GET', PATH)).json()) as Deployment;
const problem = async (response: Response) => {
  const { detail } = (await response.json()) as { detail: string };
  return `${response.status} ${detail}`;
};

describe('serving', () => {
  test('is kept by a change that does not name it, and replaced as a whole by one that does', async () => {
    expect(await shown()).toMatchObject({ serving: {}, tuned: {}, inForce: {} });
    const serving = { placement: 'worker', batching: { maxBatchSize: 8 } };
    expect((await put({ serving })).status).toBe(200);
    await put({ windowMs: 3000 });
    expect(await shown()).toMatchObject({ serving, inForce: serving, windowMs: 3000 });
    await put({ serving: { workers: 2 } });
    expect((await shown()).serving).toEqual({ workers: 2 });
  });

  test('is recorded', async () => {
    const { items } = (await (await app.ask('GET', '/api/v1/audit?limit=500')).json()) as {
      items: { action: string; detail: { serving?: unknown } }[];
    };
    const changes = items.filter(({ action }) => action === 'deployment.changed');
    expect(changes.at(-1)?.detail.serving).toEqual({ workers: 2 });
  });

  test('stands in the plan of a rollout that begins', async () => {
    const started = await app.ask('POST', `${PATH}/rollouts`, {
      json: { version: 2, canary: { agents: 1 } },
    });
    const { id, plan } = (await started.json()) as { id: string; plan: { serving: unknown } };
    expect(plan.serving).toEqual({ workers: 2 });
    await app.ask('POST', `/api/v1/rollouts/${id}/abort`, { json: { reason: 'test' } });
  });

  test.each([
    [{ batching: { maxBatchSize: 4097 } }, /serving\.batching\.maxBatchSize: .*4096.*, not 4097/],
    [{ batching: { maxQueueDelayUs: -1 } }, /serving\.batching\.maxQueueDelayUs: .*0.*, not -1/],
    [{ workers: 0 }, /serving\.workers: .*1.*, not 0/],
    [{ placement: 'gpu' }, /serving\.placement: .*auto.*inline.*worker.*, not "gpu"/],
    [{ providers: ['cuda', 'rocm'] }, /serving\.providers\.1: .*cuda.*cpu.*, not "rocm"/],
    [{ engins: 2 }, /engins/],
  ])('refuses %j, with the name, the value and the bound', async (serving, told) => {
    const said = await problem(await put({ serving }));
    expect(said).toMatch(/^400 /);
    expect(said).toMatch(told);
    expect((await shown()).serving).toEqual({ workers: 2 });
  });
});

describe('pinned versions', () => {
  test('are kept by a change that does not name them, and replaced by one that does', async () => {
    expect((await put({ pinned: [2, 3] })).status).toBe(200);
    await put({ windowMs: 4000 });
    expect((await shown()).pinned).toEqual([2, 3]);
    // The stable version moves to one that is pinned: kept, for when it moves on.
    await put({ version: 3 });
    expect(await shown()).toMatchObject({ version: 3, pinned: [2, 3] });
    await put({ pinned: [] });
    expect((await shown()).pinned).toEqual([]);
  });

  test.each([
    [[1], /^400 .*version 1, which is the stable one/],
    [[2, 2], /^400 .*version 2 twice/],
    [[9], /^404 .*no version mortgage@9 to pin/],
    [[2, 3, 4, 5, 6, 7, 8], /^400 .*pinned: .*6/],
    [[0], /^400 .*pinned\.0: .*1.*, not 0/],
  ])('are not %j', async (pinned, told) => {
    expect(await problem(await put({ pinned }))).toMatch(told);
  });
});
