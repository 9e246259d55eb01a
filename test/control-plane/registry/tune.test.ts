import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../../control-plane/http/deployments.ts';
import type { StoredTuning, TuneResult } from '../../../control-plane/http/tuning.ts';
import type { CommandOutcome } from '../../../protocol/command.ts';
import type { Serving } from '../../../protocol/serving.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';
import { LinkAgent } from '../../support/link-agent.ts';

let app: ControlApp;
let server: Server;
let agent: LinkAgent;
const PATH = '/api/v1/deployments/loans';

beforeAll(async () => {
  app = await ControlApp.open();
  server = createServer();
  server.on('upgrade', (request, socket, head) => app.hub.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  for (const which of ['v1', 'v2'] as const) await pushExample(app, which);
  await app.ask('PUT', PATH, { json: { model: 'mortgage', version: 1 } });
  const made = await app.ask('POST', '/api/v1/join-tokens', { json: {} });
  const { token } = (await made.json()) as { token: string };
  agent = await LinkAgent.create();
  const { port } = server.address() as AddressInfo;
  await agent.join(`ws://127.0.0.1:${port}/link`, token, 'edge-1');
  const generation = agent.desired?.generation ?? 0;
  await app.hub.fleet.confirmations('loans', generation, 10_000);
});

afterAll(async () => {
  await agent.cut();
  await app.close();
  server.close();
});

const RECOMMENDED: Serving = { placement: 'worker', workers: 2, batching: { maxBatchSize: 16 } };
const row = { workers: 0, intraOpThreads: 1, batchSize: 1, callUs: 50, rowsPerSecond: 20_000 };

function measured(version = 1): CommandOutcome {
  const arm = agent.desired?.deployments[0]?.arms[0];
  const tuning = {
    version,
    manifest: arm?.manifest ?? '',
    cores: 2,
    rowsIndependent: true,
    rows: [{ placement: 'inline' as const, ...row }],
    recommended: RECOMMENDED,
    reason: 'measured by a test',
    leftOut: null,
  };
  return { ok: true, value: { name: 'tune', tuning } };
}

/** Asks for a tuning and answers for the host. */
async function tune(json: object, outcome: () => CommandOutcome): Promise<Response> {
  const seen = agent.received.length;
  const asked = () => agent.received.slice(seen).find(({ kind }) => kind === 'command');
  const response = app.ask('POST', `${PATH}/tune`, { json });
  await Promise.race([agent.until(() => asked() !== undefined), response]);
  if (asked() !== undefined) {
    agent.send({ kind: 'result', id: agent.last('command').id, outcome: outcome() });
  }
  return response;
}

const shown = async () => (await (await app.ask('GET', PATH)).json()) as Deployment;
const told = async (response: Response) =>
  `${response.status} ${((await response.json()) as { detail: string }).detail}`;

describe('a tuning', () => {
  test('is kept without effect when it is not to be applied', async () => {
    const response = await tune({ apply: 'none' }, measured);
    expect(response.status).toBe(200);
    const { tuning, agentName } = (await response.json()) as TuneResult;
    expect([agentName, tuning.tuning.recommended]).toEqual(['edge-1', RECOMMENDED]);
    expect(await shown()).toMatchObject({ tuned: {}, inForce: {} });
    const list = await app.ask('GET', `${PATH}/tunings`);
    const { items } = (await list.json()) as { items: StoredTuning[] };
    expect(items.map(({ id, agent: by }) => [id, by])).toEqual([[tuning.id, agent.id]]);
  });

  test('holds where an operator has set nothing, reaches the hosts, and is recorded', async () => {
    const { version } = await shown();
    const serving = { workers: 4, batching: { maxQueueDelayUs: 100 } };
    await app.ask('PUT', PATH, { json: { model: 'mortgage', version, serving } });
    const response = await tune({ agent: 'edge-1' }, measured);
    expect(response.status).toBe(200);
    const inForce = {
      batching: { maxBatchSize: 16, maxQueueDelayUs: 100 },
      placement: 'worker',
      workers: 4,
    };
    expect(await shown()).toMatchObject({ serving, tuned: RECOMMENDED, inForce });
    await agent.until(() => agent.desired?.deployments[0]?.serving.placement === 'worker');
    expect(agent.desired?.deployments[0]?.serving).toEqual(inForce);
    const audit = await app.ask('GET', '/api/v1/audit?limit=500');
    const { items } = (await audit.json()) as { items: { action: string; detail: object }[] };
    const { detail } = items.findLast(({ action }) => action === 'deployment.tuned') ?? {};
    expect(detail).toMatchObject({ agent: agent.id, apply: 'unset', recommended: RECOMMENDED });
  });

  test('replaces what was set when all of it is to be applied, and is forgotten on demand', async () => {
    await tune({ apply: 'all' }, measured);
    expect((await shown()).serving).toEqual({
      ...RECOMMENDED,
      batching: { maxBatchSize: 16, maxQueueDelayUs: 100 },
    });
    const json = { model: 'mortgage', version: 1, serving: {}, tuned: {} };
    await app.ask('PUT', PATH, { json });
    expect((await shown()).inForce).toEqual({});
  });

  test('says why there is none', async () => {
    const nobody = await tune({ agent: 'edge-9' }, measured);
    expect(await told(nobody)).toBe('404 there is no agent "edge-9"');
    const failed = () => ({ ok: false, code: 'failed', message: 'out of memory' }) as const;
    expect(await told(await tune({}, failed))).toBe(
      '503 edge-1 did not tune "loans": out of memory',
    );
    const busy = () => ({ ok: false, code: 'busy', message: 'another one runs' }) as const;
    expect(await told(await tune({}, busy))).toMatch(/^409 /);
    const audit = await app.ask('GET', '/api/v1/audit?limit=500');
    const { items } = (await audit.json()) as {
      items: { action: string; detail: Record<string, unknown> }[];
    };
    const ends = items.filter(({ action }) => action === 'deployment.tuned').slice(-2);
    expect(ends.map(({ detail }) => detail.outcome)).toEqual(['failed', 'busy']);
    const asked = items.filter(({ action }) => action === 'command.asked').slice(-2);
    expect(asked.map(({ detail }) => detail.command)).toEqual(
      ends.map(({ detail }) => detail.command),
    );
    expect(await told(await tune({}, () => measured(2)))).toMatch(/^409 .*2 was measured/);
    expect(await told(await tune({ apply: 'some' }, measured))).toMatch(
      /^400 .*apply: .*, not "some"/,
    );
    const other = await app.ask('POST', '/api/v1/deployments/none/tune', { json: {} });
    expect(other.status).toBe(404);
  });

  test('changes nothing beside a rollout, whose arms are compared as they run', async () => {
    const json = { version: 2, canary: { agents: 1, share: 0.5 } };
    const started = await app.ask('POST', `${PATH}/rollouts`, { json });
    const { id } = (await started.json()) as { id: string };
    expect(await told(await tune({}, measured))).toMatch(`rollout ${id} of "loans"`);
    expect((await tune({ apply: 'none' }, measured)).status).toBe(200);
  });
});
