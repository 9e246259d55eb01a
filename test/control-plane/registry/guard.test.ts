import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeploymentStatus } from '../../../control-plane/http/deployments.ts';
import { checkGuard } from '../../../control-plane/registry/guarded.ts';
import { manifestOf } from '../../protocol/documents.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

let app: ControlApp;
const PATH = '/api/v1/deployments/loans';

beforeAll(async () => {
  app = await ControlApp.open();
  await pushExample(app, 'v1');
  await put({});
});

afterAll(() => app.close());

const put = (json: object) =>
  app.ask('PUT', PATH, { json: { model: 'mortgage', version: 1, ...json } });
const shown = async () => (await (await app.ask('GET', PATH)).json()) as DeploymentStatus;
const problem = async (response: Response) => {
  const { detail } = (await response.json()) as { detail: string };
  return `${response.status} ${detail}`;
};

const GUARD = {
  lastAnswers: 200,
  maxNonFinite: 0,
  maxErrorShare: 0.05,
  latency: { budgetUs: 20_000, maxShare: 0.1 },
  withoutLastGood: 'refuse',
};
const LEASE = { durationMs: 600_000, afterwards: 'stop' };

describe('guard and lease', () => {
  test('are not there unless they are set, kept by what does not name them, and taken away', async () => {
    expect(await shown()).toMatchObject({ guard: {}, lease: null, trips: [] });
    expect((await put({ guard: GUARD, lease: LEASE })).status).toBe(200);
    await put({ windowMs: 3000 });
    expect(await shown()).toMatchObject({ guard: GUARD, lease: LEASE, windowMs: 3000 });
    await put({ guard: { maxNonFinite: 1 } });
    expect(await shown()).toMatchObject({ guard: { maxNonFinite: 1 }, lease: LEASE });
    await put({ guard: {}, lease: null });
    expect(await shown()).toMatchObject({ guard: {}, lease: null });
  });

  test('are recorded', async () => {
    const { items } = (await (await app.ask('GET', '/api/v1/audit?limit=500')).json()) as {
      items: { action: string; detail: object }[];
    };
    const changes = items.filter(({ action }) => action === 'deployment.changed');
    expect(changes.map(({ detail }) => detail)).toContainEqual(
      expect.objectContaining({ guard: GUARD, lease: LEASE }),
    );
  });

  test('are described', async () => {
    const { components, paths } = (await (await app.ask('GET', '/api/v1/openapi.json')).json()) as {
      components: object;
      paths: object;
    };
    const text = JSON.stringify([components, paths]);
    for (const field of ['maxNonFinite', 'budgetUs', 'withoutLastGood', 'durationMs', 'trips']) {
      expect(text).toContain(`"${field}"`);
    }
  });

  test.each([
    [{ guard: { maxNonFinite: -1 } }, /guard\.maxNonFinite: .*0.*, not -1/],
    [{ guard: { lastAnswers: 9 } }, /guard\.lastAnswers: .*10.*, not 9/],
    [{ guard: { maxErrorShare: 1 } }, /guard\.maxErrorShare: .*1.*, not 1/],
    [{ guard: { maxNonFinite: 100 } }, /maxNonFinite must be less than lastAnswers/],
    [{ guard: { latency: { budgetUs: 5 } } }, /guard\.latency\.maxShare/],
    [{ guard: { drift: { maxPsi: 0, minRows: 100 } } }, /guard\.drift\.maxPsi: .*0.*, not 0/],
    [{ guard: { drift: { maxPsi: 1, minRows: 99 } } }, /guard\.drift\.minRows: .*100.*, not 99/],
    [{ guard: { maxNonFinit: 0 } }, /maxNonFinit/],
    [{ lease: { durationMs: 1_999, afterwards: 'stop' } }, /lease\.durationMs: .*2000.*, not 1999/],
    [{ lease: { durationMs: 31 * 86_400_000 + 1, afterwards: 'stop' } }, /lease\.durationMs/],
    [{ lease: { durationMs: 5_000, afterwards: 'halt' } }, /lease\.afterwards: .*, not "halt"/],
  ])('%j is refused, with the name, the value and the bound', async (change, told) => {
    const said = await problem(await put(change));
    expect(said).toMatch(/^400 /);
    expect(said).toMatch(told);
  });

  test('drift is refused for a version that there is nothing to compare with', async () => {
    const drift = { maxPsi: 20, minRows: 100 };
    expect(await problem(await put({ guard: { drift } }))).toMatch(
      /^409 .*mortgage@1 was pushed without a baseline/,
    );
    const document = manifestOf();
    const file = { role: 'profile' as const, digest: `sha256:${'2'.repeat(64)}`, sizeBytes: 1 };
    const version = { model: 'mortgage', version: 2, document };
    expect(() => checkGuard(version, { drift })).toThrow('without a baseline');
    const compared = { ...document, files: [...document.files, file] };
    expect(() => checkGuard({ ...version, document: compared }, { drift })).not.toThrow();
    const silent = { ...compared, prediction: null };
    expect(() => checkGuard({ ...version, document: silent }, { drift })).toThrow('no prediction');
    expect(() => checkGuard(version, { maxNonFinite: 0 })).not.toThrow();
  });

  test('at the bounds they are taken', async () => {
    const guard = { lastAnswers: 10_000, maxNonFinite: 9_999 };
    expect((await put({ guard, lease: { durationMs: 2_000, afterwards: 'serve' } })).status).toBe(
      200,
    );
    const most = { durationMs: 31 * 86_400_000, afterwards: 'stop' };
    expect((await put({ guard: { lastAnswers: 10, maxNonFinite: 9 }, lease: most })).status).toBe(
      200,
    );
  });
});
