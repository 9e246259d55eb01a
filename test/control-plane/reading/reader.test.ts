import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { monitoringViewSchema } from '../../../control-plane/http/monitoring-view.ts';
import { reportViewSchema } from '../../../control-plane/http/report-view.ts';
import { monitoringQuerySchema } from '../../../control-plane/reading/query.ts';
import { insertAgent } from '../../../control-plane/store/agents.ts';
import { windows as windowsTable } from '../../../control-plane/store/telemetry-schema.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const START = 1_800_000_000_000;
const HOSTS = [
  ['agt_aaaaaaaaaaaaaaaaaaaaaaaa', 'north', { region: 'eu' }],
  ['agt_bbbbbbbbbbbbbbbbbbbbbbbb', 'south', { region: 'us' }],
] as const;
const WINDOWS = 30;
const ROWS = 40;

let control: ControlFixture;
const random = seeded(21);

const read = (query: Record<string, string>) =>
  control.hub.monitoring.read(
    'loans',
    monitoringQuerySchema.parse({ from: START, to: START + WINDOWS * WINDOW_MS, ...query }),
    START,
  );

async function insertHost(at: number): Promise<void> {
  const [id, name, labels] = HOSTS[at];
  const capabilities = {
    runtime: 'node' as const,
    runtimeVersion: '20',
    platform: 'linux',
    cores: 1,
    engines: 1,
    providers: ['cpu'],
  };
  const publicKey = new Uint8Array(32).fill(at + 1);
  await control.store.write((tx) =>
    insertAgent(tx, { id, name, publicKey, labels, serving: null, capabilities }, START),
  );
}

/** Both hosts answer as the baseline did in the first half; then `south` drifts. */
async function insertWindows(): Promise<void> {
  for (let at = -WINDOWS; at < WINDOWS; at += 1) {
    for (const [host, [agentId]] of HOSTS.entries()) {
      const inputShift = host === 1 && at >= 0 ? 1.5 : 0;
      const window = syntheticWindow(random, { rows: ROWS, inputShift, scoreShift: -inputShift });
      const row = {
        deployment: 'loans',
        manifest: control.manifests[0],
        arm: 'stable' as const,
        windowStartMs: START + at * WINDOW_MS,
        windowMs: WINDOW_MS,
        agentId,
        parts: 1,
        requests: ROWS,
        rows: ROWS,
        errors: 0,
        body: encodeWindow(window),
        updatedAt: START,
      };
      await control.store.write((tx) => tx.insert(windowsTable).values(row));
    }
  }
}

beforeAll(async () => {
  control = await ControlFixture.start();
  await insertHost(0);
  await insertHost(1);
  await insertWindows();
});

afterAll(() => control.stop());

describe('a period', () => {
  test('says what moved, with points that add up, in the declared shape', async () => {
    const view = await read({});
    expect(monitoringViewSchema.parse(view)).toEqual(view);
    expect(view.totals).toMatchObject({ windows: 2 * WINDOWS, rows: 2 * WINDOWS * ROWS });
    expect(view.verdict).toBe('alert');
    const [x] = view.features ?? [];
    expect(x).toMatchObject({ name: 'x', verdict: 'alert', rows: { current: 2 * WINDOWS * ROWS } });
    expect(x.points).toHaveLength(WINDOWS);
    expect(x.points.reduce((sum, point) => sum + point.rows, 0)).toBe(x.rows.current);
    expect(view.hosts).toBeNull();
    expect(view.windows).toHaveLength(WINDOWS);
    expect(view.windows[0]).toMatchObject({ agents: 2, rows: 2 * ROWS, version: 1 });
  });

  test.each([
    [{ agent: 'north' }, 'ok'],
    [{ agent: HOSTS[1][0] }, 'alert'],
    [{ label: 'region=eu' }, 'ok'],
    [{ label: 'region=us' }, 'alert'],
    [{ label: 'region=none' }, 'insufficient'],
    [{ agent: 'north', label: 'region=us' }, 'insufficient'],
  ])('of hosts %j is %s', async (filter, verdict) => {
    expect((await read(filter)).verdict).toBe(verdict);
  });

  test('names the host that changed', async () => {
    const { hosts } = await read({ include: 'hosts' });
    const x = hosts?.find(({ name }) => name === 'x');
    expect(x).toMatchObject({ cause: 'within', hosts: [{ host: HOSTS[1][0] }, {}] });
  });

  test('gives the sections asked for and no others', async () => {
    const view = await read({ include: 'windows' });
    expect(view).toMatchObject({ verdict: null, features: null, operations: null });
    expect((await read({ include: 'operations' })).windows).toEqual([]);
  });
});

describe('a report of a period', () => {
  const report = (query: Record<string, string> = {}) =>
    control.hub.monitoring.report(
      'loans',
      monitoringQuerySchema.parse({ from: START, to: START + WINDOWS * WINDOW_MS, ...query }),
      START,
    );

  test('judges as the monitoring does, and has pictures besides', async () => {
    const data = await report();
    expect(reportViewSchema.parse(data)).toEqual(data);
    const view = await read({});
    const [x] = data.features;
    const { reason, plot, outOfRange, ...judged } = x;
    expect(judged).toEqual(view.features?.[0]);
    expect(reason).toBeNull();
    expect(outOfRange).toBeNull();
    expect(judged.psiInterval?.low).toBeLessThan(judged.debiasedPsi);
    expect(plot?.kind === 'histogram' && plot.bins.length).toBeGreaterThanOrEqual(14);
    expect(data.prediction?.plot?.kind).toBe('histogram');
    expect(data.sides.current.rows).toBe(2 * WINDOWS * ROWS);
  });

  test('says what it leaves out', async () => {
    expect((await report({ agent: 'north' })).notes).toContain('Only hosts north.');
    await expect(report({ feature: 'y' })).rejects.toThrow('no feature "y"');
  });
});

describe('bad questions', () => {
  test.each([
    [{ feature: 'y' }, 'no feature "y"; watched are: x'],
    [{ version: '9' }, 'no mortgage@9'],
    [{ from: '0' }, 'coarser resolution'],
    [{ from: String(START + 1), to: String(START) }, 'exchange them'],
  ])('%j: %s', async (query, message) => {
    await expect(read(query)).rejects.toThrow(message);
  });

  test.each([{ include: 'everything' }, { label: 'region' }, { agent: '../x' }])('%j', (query) => {
    expect(monitoringQuerySchema.safeParse(query).success).toBe(false);
  });
});

test('a stored window that cannot be read is counted and hides no other', async () => {
  const place = { deployment: 'loans', manifest: control.manifests[0], arm: 'candidate' as const };
  const body = new Uint8Array([1, 2, 3]);
  const counts = { parts: 1, requests: 0, rows: 0, errors: 0 };
  await control.store.write((tx) =>
    tx.insert(windowsTable).values({
      ...place,
      ...counts,
      body,
      windowStartMs: START,
      windowMs: WINDOW_MS,
      agentId: HOSTS[0][0],
      updatedAt: START,
    }),
  );
  const view = await read({});
  expect(view.skipped).toBe(1);
  expect(view.features?.[0].rows.current).toBe(2 * WINDOWS * ROWS);
  expect((await read({ arm: 'stable' })).skipped).toBe(0);
});
