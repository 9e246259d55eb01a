import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentView } from '../../../control-plane/http/agents.ts';
import type { DeploymentHost } from '../../../control-plane/http/deployment-hosts.ts';
import { insertAgent } from '../../../control-plane/store/agents.ts';
import type { Page } from '../../../control-plane/store/page.ts';
import { putReports } from '../../../control-plane/store/reports.ts';
import type { Labels } from '../../../protocol/ids.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

const HOSTS = 7;
const GOLD: Labels = { tier: 'gold' };
const NO_LABELS: Labels = {};
const idOf = (host: number) => `agt_${String(host).padStart(24, '0')}`;
const MANIFEST = `sha256:${'a'.repeat(64)}`;

let app: ControlApp;

beforeAll(async () => {
  app = await ControlApp.open();
  const version = await pushExample(app, 'v1');
  const json = { model: 'mortgage', version, to: { tier: 'gold' } };
  await app.ask('PUT', '/api/v1/deployments/loans', { json });
  const capabilities = {
    ...{ runtime: 'node' as const, runtimeVersion: '20', platform: 'linux' },
    ...{ cores: 1, engines: 1, providers: ['cpu'] },
  };
  const arm = { arm: 'stable' as const, version, manifest: MANIFEST, share: 1 };
  await app.store.write(async (tx) => {
    for (let host = 0; host < HOSTS; host += 1) {
      const agent = {
        ...{ id: idOf(host), name: `host-${host % 3}`, serving: null, capabilities },
        ...{ publicKey: new Uint8Array(32).fill(host), labels: host === 4 ? NO_LABELS : GOLD },
        approvedAt: host === 5 ? null : 1,
      };
      await insertAgent(tx, agent, 1);
    }
    const deployments = [{ name: 'loans', arms: [{ ...arm, state: 'serving' as const }] }];
    const report = { kind: 'report' as const, observed: 2, applied: 2, at: 1, deployments };
    await putReports(tx, [{ agent: idOf(1), report, receivedAt: 1 }]);
  });
});
afterAll(() => app.close());

async function all<T>(path: string): Promise<T[][]> {
  const pages: T[][] = [];
  let cursor: string | null = null;
  do {
    const from: string = cursor === null ? '' : `&cursor=${cursor}`;
    const response = await app.ask('GET', `${path}${from}`);
    const page = (await response.json()) as Page<T>;
    pages.push(page.items);
    cursor = page.next;
  } while (cursor !== null);
  return pages;
}

test('agents of a deployment come in pages, without those to which it does not go or that wait', async () => {
  const pages = await all<DeploymentHost>('/api/v1/deployments/loans/agents?limit=2');
  expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
  const hosts = pages.flat();
  expect(hosts.map(({ id }) => id)).toEqual([0, 1, 2, 3, 6].map(idOf));
  expect(hosts[1]).toMatchObject({ name: 'host-1', connected: false, observed: 2, applied: 2 });
  expect(hosts[1]?.arms.map(({ state }) => state)).toEqual(['serving']);
  expect(hosts[0]).toMatchObject({ desired: 0, applied: 0, arms: [], lease: null });
  expect((await app.ask('GET', '/api/v1/deployments/none/agents')).status).toBe(404);
});

test('the deployment itself lists none, however many there are', async () => {
  const response = await app.ask('GET', '/api/v1/deployments/loans');
  const status = (await response.json()) as Record<string, unknown>;
  const refused: unknown[] = [];
  // Rows that were put beside the link are hosts from the next start on.
  const none = { total: 0, connected: 0, serving: 0, connectedServing: 0, unleased: 0, refused };
  expect(status.hosts).toEqual(none);
  expect(status.agents).toBeUndefined();
});

test('agents are found by name', async () => {
  const pages = await all<AgentView>('/api/v1/agents?name=host-1&limit=1');
  expect(pages.flat().map(({ id }) => id)).toEqual([1, 4].map(idOf));
  expect((await all<AgentView>('/api/v1/agents?name=nobody')).flat()).toEqual([]);
});
