import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlertView } from '../../control-plane/http/alerts.ts';
import type { MonitoringView } from '../../control-plane/http/monitoring-view.ts';
import { FEATURES, mortgageRows } from '../support/mortgage.ts';
import { type AgentHandle, Stack, until } from '../support/stack.ts';

/** Columns of the example beside the features: the group and the truth. */
const [GROUP, TRUTH] = [10, 11];
const BATCH = 50;

interface Asked {
  readonly id: string;
  readonly rows: readonly (readonly number[])[];
  readonly denied: readonly number[];
  readonly scores: readonly number[];
}

let stack: Stack;
let agent: AgentHandle;
let traffic: number[][];
/** Labels that the agent has said were joined: what everybody must count in the end. */
let joined = 0;

beforeAll(async () => {
  traffic = await mortgageRows('traffic');
  stack = await Stack.start();
  agent = await stack.addAgent('branch');
  const { version } = await stack.push('v1');
  const monitoring = { learningWindows: 0, detectors: [{ kind: 'e-detector' }, { kind: 'adwin' }] };
  const deployment = { model: 'mortgage', version, windowMs: 500, monitoring };
  await stack.api('PUT', '/deployments/mortgage', deployment);
  await until('the agent to serve', async () => {
    const { status } = await stack.infer(agent, [traffic[0]]).catch(() => ({ status: 0 }));
    return status === 200 ? true : null;
  });
}, 60_000);
afterAll(() => stack.stop());

async function post<T>(path: string, body: unknown): Promise<T> {
  const answer = await fetch(`${agent.url}/v2/models/mortgage/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

async function ask(rows: readonly (readonly number[])[]): Promise<Asked> {
  const { parameters, outputs } = await post<{
    parameters: { decision_id: string };
    outputs: { name: string; data: number[] }[];
  }>('infer', {
    parameters: { group: { black: rows.map((row) => row[GROUP]) } },
    inputs: [
      {
        ...{ name: 'features', datatype: 'FP32', shape: [rows.length, FEATURES] },
        data: rows.flatMap((row) => row.slice(0, FEATURES)),
      },
    ],
  });
  const of = (name: string) => outputs.find((output) => output.name === name)?.data ?? [];
  const scores = of('probabilities').filter((_, at) => at % 2 === 1);
  return { id: parameters.decision_id, rows, denied: of('label'), scores };
}

async function askAll(rows: readonly (readonly number[])[]): Promise<Asked[]> {
  const asked: Asked[] = [];
  for (let from = 0; from < rows.length; from += BATCH) {
    asked.push(await ask(rows.slice(from, from + BATCH)));
  }
  return asked;
}

/** Brings the label of every row, when the host has written the row down. */
async function label(asked: readonly Asked[], truth: (row: Asked, at: number) => number) {
  for (const one of asked) {
    const body = { decision_id: one.id, label: one.rows.map((_, at) => truth(one, at)) };
    await until('rows to be remembered', async () => {
      const said = await post<{ joined: number; unknown: number; duplicate: number }>(
        'feedback',
        body,
      );
      // What waited for its row is a duplicate of itself by then; nothing was posted twice before.
      if (said.unknown > 0) return null;
      expect(said.joined + said.duplicate).toBe(one.rows.length);
      return true;
    });
    joined += one.rows.length;
  }
}

const honest = ({ rows }: Asked, at: number) => rows[at][TRUTH];
const wrong = ({ denied }: Asked, at: number) => 1 - denied[at];

const monitoring = () =>
  stack.api<MonitoringView>('GET', '/deployments/mortgage/monitoring?include=performance,fairness');
const openAlerts = async () =>
  (await stack.api<{ items: AlertView[] }>('GET', '/alerts?open=true')).items;
const alert = (kind: string) =>
  until(
    `the alert ${kind}`,
    async () => {
      return (await openAlerts()).find((one) => one.kind === kind) ?? null;
    },
    20_000,
  );
const labelledIs = (count: number) =>
  until(`${count} labelled rows`, async () => {
    const view = await monitoring();
    expect(view.performance?.labels.labelled).toBeLessThanOrEqual(count);
    return view.performance?.labels.labelled === count ? view : null;
  });

describe('labels, from the host to what people read', () => {
  it('come late, are joined to the windows of their predictions, and say nothing of groups yet', async () => {
    const asked = await askAll(traffic.slice(0, 100));
    const before = await until('the answers', async () => {
      const view = await monitoring();
      return view.totals.rows >= 100 ? view : null;
    });
    expect(before.performance?.labels.labelled).toBe(0);
    await label(asked, honest);
    const view = await labelledIs(joined);
    expect(view.totals.rows).toBe(before.totals.rows);
    expect(view.performance?.labels.delayMs?.p50).toBeGreaterThan(0);
    expect(view.fairness?.map(({ attribute, verdict }) => [attribute, verdict])).toEqual([
      ['black', 'insufficient'],
    ]);
  }, 30_000);

  it('add up although an engine is killed in between', async () => {
    const before = await askAll(traffic.slice(100, 300));
    await label(before.slice(0, 2), honest);
    const from = agent.program.lines.length;
    const children = execFileSync('pgrep', ['-P', String(agent.program.child.pid)]).toString();
    process.kill(Number(children.trim().split('\n')[0]), 'SIGKILL');
    await agent.program.line('engine exited', from);
    const after = await until('another engine', () =>
      askAll(traffic.slice(300, 400)).catch(() => null),
    );
    await label(after, honest);
    const { performance } = await labelledIs(joined);
    const text = await (await fetch(String(await metricsUrl()))).text();
    expect(text).toContain(`driftline_labels_total{model="mortgage",result="joined"} ${joined}`);
    expect(performance?.labels.conflicting).toBe(0);
    expect(await openAlerts()).toEqual([]);
  }, 40_000);

  it('of groups that are treated otherwise: fairness goes from insufficient to violates', async () => {
    expect((await monitoring()).fairness?.[0].verdict).not.toBe('violates');
    const asked = await askAll(traffic.slice(0, 600));
    const sorted = asked.flatMap(({ rows, denied }) =>
      rows.map((row, at) => [...row.slice(0, GROUP), denied[at], row[TRUTH]]),
    );
    const view = await until(
      'the verdict',
      async () => {
        await askAll(sorted);
        const now = await monitoring();
        return now.fairness?.[0].verdict === 'violates' ? now : null;
      },
      30_000,
    );
    expect(view.fairness?.[0].attribute).toBe('black');
    await alert('fairness');
  }, 60_000);

  // Before labels show errors: an estimate that labels contradict is no longer trusted, and opens nothing.
  it('are not waited for where scores alone say that the model is less sure', async () => {
    const asked = await askAll(traffic);
    const unsure = asked.flatMap(({ rows, scores }) =>
      rows.filter((_, at) => scores[at] > 0.2 && scores[at] < 0.8),
    );
    expect(unsure.length).toBeGreaterThan(20);
    expect((await openAlerts()).map(({ kind }) => kind)).not.toContain('performance');
    const many = Array.from({ length: 400 }, (_, at) => unsure[at % unsure.length]);
    const sending = async () => {
      await askAll(many);
      return (await openAlerts()).find(({ kind }) => kind === 'performance') ?? null;
    };
    const found = await until('the alert performance', sending, 30_000);
    expect(JSON.stringify(found.detail)).toContain('estimated-performance');
  }, 60_000);

  it('that show more errors open an alert, and the host’s own detector says so', async () => {
    expect((await openAlerts()).map(({ kind }) => kind)).not.toContain('concept-drift');
    for (let round = 0; round < 3; round += 1)
      await label(await askAll(traffic.slice(0, 200)), wrong);
    const { detail } = await alert('concept-drift');
    expect(JSON.stringify(detail)).toMatch(/label-errors|adwin/);
    const told = await until('the event', async () => {
      const { items } = await stack.api<{ items: { action: string; detail: object }[] }>(
        'GET',
        '/audit?limit=200',
      );
      const events = items.filter(({ action }) => action === 'agent.event');
      return events.find((one) => JSON.stringify(one.detail).includes('detector=adwin')) ?? null;
    });
    expect(JSON.stringify(told.detail)).toContain('deployment=mortgage');
    await labelledIs(joined);
  }, 60_000);
});

async function metricsUrl(): Promise<unknown> {
  return (await agent.program.line('serving')).metrics;
}
