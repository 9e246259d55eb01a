import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlertView } from '../../control-plane/http/alerts.ts';
import type { MonitoringView } from '../../control-plane/http/monitoring-view.ts';
import type { DriftView } from '../../control-plane/http/services.ts';
import type { ReportData } from '../../control-plane/report/report-data.ts';
import { mortgageRows } from '../support/mortgage.ts';
import { ROOT } from '../support/source-files.ts';
import { type AgentHandle, Stack, Traffic, until } from '../support/stack.ts';

const run = promisify(execFile);
/** Column that drifts: debt to income, which moves well past what the baseline has seen. */
const DRIFTED = 'debt_to_income';

let stack: Stack;
let rows: number[][];
const agents: AgentHandle[] = [];

const monitoring = (query = '') =>
  stack.api<MonitoringView>('GET', `/deployments/mortgage/monitoring${query}`);

async function driftline(...args: string[]): Promise<string> {
  const main = join(ROOT, 'dist/control-plane/cli/main.js');
  const env = { ...process.env, DRIFTLINE_URL: stack.url, DRIFTLINE_TOKEN: stack.token };
  return (await run(process.execPath, [main, ...args], { env })).stdout;
}

beforeAll(async () => {
  rows = await mortgageRows('traffic');
  stack = await Stack.start();
  for (const name of ['north', 'south']) agents.push(await stack.addAgent(name));
  await stack.push('v1');
  await stack.deploy(1, 500);
  for (const agent of agents) {
    await until(`${agent.name} to serve`, async () => {
      const { status } = await stack.infer(agent, [rows[0]]);
      return status === 200 ? true : null;
    });
  }
}, 60_000);

afterAll(() => stack.stop());

describe('monitoring, from traffic to what people read', () => {
  it('undrifted traffic of two hosts is not alerted', async () => {
    const traffic = new Traffic(stack, agents, rows);
    const view = await until('600 rows', async () => {
      const now = await monitoring();
      return now.totals.rows >= 600 ? now : null;
    });
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    expect(view.features?.map(({ name }) => name)).toContain(DRIFTED);
    expect(view.features?.find(({ name }) => name === DRIFTED)?.verdict).toBe('ok');
    expect(view.operations?.latencyUs?.p99).toBeGreaterThan(0);
    const { items } = await stack.api<{ items: AlertView[] }>('GET', '/alerts?open=true');
    expect(items).toEqual([]);
  }, 40_000);

  it('drift on one host opens an alert; API and command name feature and host', async () => {
    const quietUntil = Date.now();
    const drifted = rows.map((row) => row.map((value, at) => (at === 0 ? value + 1 : value)));
    const north = new Traffic(stack, agents.slice(0, 1), rows);
    const south = new Traffic(stack, agents.slice(1), drifted);
    const alert = await until(
      'an alert',
      async () => {
        const { items } = await stack.api<{ items: AlertView[] }>('GET', '/alerts?open=true');
        return items.find(({ kind }) => kind === 'input-drift') ?? null;
      },
      30_000,
    );
    expect(JSON.stringify(alert.detail)).toContain(`feature:${DRIFTED}`);

    const since = `?from=${quietUntil}&include=features`;
    const ofHost = async (name: string) =>
      (await monitoring(`${since}&agent=${name}`)).features?.find((one) => one.name === DRIFTED);
    await until('200 rows of south', async () => {
      const seen = await ofHost('south');
      return (seen?.rows.current ?? 0) >= 200 ? seen : null;
    });
    await Promise.all([north.stop(), south.stop()]);
    expect((await ofHost('south'))?.verdict).toBe('alert');
    expect((await ofHost('north'))?.verdict).not.toBe('alert');

    const shown = await driftline('drift', 'mortgage', '--last', '10m');
    expect(shown).toMatch(new RegExp(`${DRIFTED} +[▁▂▃▄▅▆▇█]`));
    expect(shown).toContain('alert');
    // Each feature stands there once; what else is watched is told by its kind.
    expect(shown.match(new RegExp(`^${DRIFTED} `, 'gm'))).toHaveLength(1);
    expect(shown).toMatch(/also watched, ok: .*missing \(10\)/);
    const parsed = JSON.parse(await driftline('drift', 'mortgage', '--json')) as DriftView & {
      period: MonitoringView;
    };
    expect(parsed.verdict).toBe('alert');
    expect(parsed.period.features?.find(({ name }) => name === DRIFTED)?.verdict).toBe('alert');
  }, 60_000);

  it('the report shows the drift, as a page, as data and as a file', async () => {
    const ask = (accept: string) =>
      fetch(`${stack.url}/api/v1/deployments/mortgage/report`, {
        headers: { authorization: `Bearer ${stack.token}`, accept },
      });
    const page = await ask('text/html,application/xhtml+xml,*/*;q=0.8');
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(page.headers.get('content-security-policy')).toContain("style-src 'sha256-");
    expect(await page.text()).toContain(`<bdi>${DRIFTED}</bdi>`);
    const data = (await (await ask('application/json')).json()) as ReportData;
    expect(data.features.find(({ name }) => name === DRIFTED)?.verdict).toBe('alert');

    const out = join(stack.folder, 'report.html');
    expect(await driftline('report', 'mortgage', '--last', '1h', '--out', out)).toContain(out);
    expect(await readFile(out, 'utf8')).toContain(`<bdi>${DRIFTED}</bdi>`);
    const said = await driftline('report', 'mortgage', '--from', '2h', '--json');
    expect((JSON.parse(said) as ReportData).title).toBe('mortgage');
    await expect(driftline('report', 'mortgage', '--from', 'yesterday')).rejects.toThrow(
      '--from is "yesterday"',
    );
    await expect(driftline('report', 'mortgage', '--from', '2h', '--last', '1h')).rejects.toThrow(
      'both say where to begin',
    );
  });

  it('/metrics shows the alert and the stream that raised it', async () => {
    const answer = await fetch(`${stack.url}/metrics`, {
      headers: { authorization: `Bearer ${stack.token}` },
    });
    const text = await answer.text();
    expect(text).toContain('driftline_alerts_open{deployment="mortgage",kind="input-drift"} 1');
    expect(text).toContain(
      `driftline_drift_state{deployment="mortgage",stream="feature:${DRIFTED}"} 3`,
    );
  });
});
