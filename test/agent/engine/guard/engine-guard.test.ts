import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Engine } from '../../../../agent/engine/engine.ts';
import type {
  EngineTrip,
  ModelFiles,
  PlannedDeployment,
  WindowMessage,
} from '../../../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import type { Guard } from '../../../../protocol/guard.ts';
import { decodeWindow } from '../../../../protocol/sketch/codec.ts';
import {
  describeMortgage,
  inferBody,
  mortgageRows,
  temporaryFolder,
} from '../../../support/mortgage.ts';

const folder = await temporaryFolder();
const LOAN_TO_VALUE = 2;
let v1: ModelFiles;
let v3: ModelFiles;
let rows: number[][];
let engine: Engine;
let url = '';
let decision = 0;
const trips: EngineTrip[] = [];
const windows: WindowMessage[] = [];

beforeAll(async () => {
  v1 = (await describeMortgage('v1', folder.path)).files;
  v3 = (await describeMortgage('v3', folder.path)).files;
  rows = await mortgageRows('baseline');
  engine = new Engine({
    ...{ runtime: await createNodeRuntime(), ordinal: 0, version: '0', maxBodyBytes: 1 << 20 },
    share: { engines: 1, cores: 2 },
    onWindow: (window) => windows.push(window),
    onTrip: (trip) => trips.push(trip),
  });
  url = `http://127.0.0.1:${await engine.listen('127.0.0.1', 0)}`;
}, 60_000);
afterEach(() => {
  trips.length = 0;
  engine.restrain({ tripped: [], closed: {} });
});
afterAll(async () => {
  await engine.stop();
  await folder.remove();
});

/** Version 3 serves by a decision of its own, guarded, and version 1 stands by. */
async function serve(guard: Guard): Promise<void> {
  await engine.prepare([v1, v3].map((files) => ({ files, execution: {} })));
  decision += 1;
  const arm = { arm: 'stable' as const, decidedAt: decision };
  const deployment: PlannedDeployment = {
    ...{ name: 'loans', windowMs: 60_000, serving: {}, guard },
    arms: [{ ...arm, version: 3, manifest: v3.manifest, share: 1 }],
    standby: { ...arm, version: 1, manifest: v1.manifest, share: 0 },
  };
  engine.commit({
    ...{ agent: 'agt_0123456789abcdef01234567', generation: decision },
    deployments: [deployment],
  });
}

const get = async (path: string) => {
  const response = await fetch(`${url}${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

/** Which version answers these rows; the status and code where none does. */
async function ask(some: readonly (readonly number[])[]): Promise<number | string> {
  const body = inferBody(some);
  const response = await fetch(`${url}/v2/models/loans/infer`, { method: 'POST', body });
  const { model_version, code } = (await response.json()) as Record<string, string>;
  return response.status === 200 ? Number(model_version) : `${response.status} ${code}`;
}

it('GUARD-2: predictions that leave the profile trip it, and those of the baseline do not', async () => {
  await serve({ drift: { maxPsi: 0.5, minRows: 300 } });
  for (let at = 0; at < 1200; at += 20) expect(await ask(rows.slice(at, at + 20))).toBe(3);
  expect(trips).toEqual([]);
  const strange = rows.map((row) => row.with(LOAN_TO_VALUE, 4));
  let answered: number | string = 3;
  let asked = 0;
  for (let at = 0; answered === 3 && at < 1400; at += 20) {
    answered = await ask(strange.slice(at, at + 20));
    asked += 20;
  }
  expect(answered).toBe(1);
  expect(asked).toBeLessThan(1000);
  expect(trips).toMatchObject([
    {
      ...{ deployment: 'loans', version: 3, arm: 'stable', generation: decision },
      ...{ decidedAt: decision, decision: null },
      breach: { threshold: 'drift', limit: 0.5 },
    },
  ]);
});

it('an answer that comes too late trips it, and names the decision', async () => {
  await serve({ latency: { budgetUs: 1, maxShare: 0 } });
  expect(await ask(rows.slice(0, 1))).toBe(3);
  expect(await ask(rows.slice(0, 1))).toBe(1);
  expect(trips[0].breach).toMatchObject({ threshold: 'latency', bad: 1, limit: 0, budgetUs: 1 });
  expect(trips[0].decision).toMatch(/^0123456789ab\./);
});

it('GUARD-6: it stays out under a plan of the same decision, and is let in by a newer one', async () => {
  await serve({ latency: { budgetUs: 1, maxShare: 0 } });
  expect([await ask(rows.slice(0, 1)), await ask(rows.slice(0, 1))]).toEqual([3, 1]);
  decision -= 1;
  await serve({ latency: { budgetUs: 1, maxShare: 0 } });
  expect(await ask(rows.slice(0, 1))).toBe(1);
  await serve({ maxNonFinite: 0 });
  expect(await ask(rows.slice(0, 1))).toBe(3);
});

/** Serves nothing any more. Resolves with how many requests each version has been counted with. */
async function counted(): Promise<Record<string, number>> {
  windows.length = 0;
  engine.commit({ agent: 'agt_0123456789abcdef01234567', generation: decision, deployments: [] });
  await expect.poll(() => windows.length).toBe(2);
  return Object.fromEntries(
    windows.map(({ manifest, body }) => [manifest, decodeWindow(body).requests]),
  );
}

it('what answers in its place is counted as what it is', async () => {
  await counted();
  await serve({ latency: { budgetUs: 1, maxShare: 0 } });
  for (let k = 0; k < 5; k += 1) await ask(rows.slice(0, 2));
  expect(await counted()).toEqual({ [v3.manifest]: 1, [v1.manifest]: 4 });
});

it('LEASE-4: a closed deployment answers 503 with the reason, is not ready, and opens again', async () => {
  await serve({ maxNonFinite: 0 });
  const message = '"loans" has no lease';
  engine.restrain({ tripped: [], closed: { loans: { code: 'lease_lapsed', message } } });
  expect(await ask(rows.slice(0, 1))).toBe('503 lease_lapsed');
  expect(await get('/v2/models/loans/ready')).toEqual({
    status: 503,
    body: { error: message, code: 'lease_lapsed' },
  });
  expect((await get('/v2/health/ready')).status).toBe(200);
  const index = await fetch(`${url}/v2/repository/index`, { method: 'POST' });
  expect(await index.json()).toEqual([
    { name: 'loans', version: '3', state: 'UNAVAILABLE', reason: message },
  ]);
  // A plan changes nothing of it; only being told does.
  await serve({ maxNonFinite: 0 });
  expect(await ask(rows.slice(0, 1))).toBe('503 lease_lapsed');
  engine.restrain({ tripped: [], closed: {} });
  expect(await ask(rows.slice(0, 1))).toBe(3);
});
