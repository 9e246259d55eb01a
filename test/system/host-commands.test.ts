import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AgentView } from '../../control-plane/http/agents.ts';
import type { DeploymentHost } from '../../control-plane/http/deployment-hosts.ts';
import type {
  DecisionView,
  Drained,
  LogLevelSet,
  Restarted,
} from '../../control-plane/http/hosts.ts';
import type { MonitoringView } from '../../control-plane/http/monitoring-view.ts';
import { type Diagnostics, diagnosticsSchema } from '../../protocol/diagnostics.ts';
import { mortgageRows } from '../support/mortgage.ts';
import { ROOT } from '../support/source-files.ts';
import { type AgentHandle, Stack, Traffic, until } from '../support/stack.ts';

/** Real processes start, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let stack: Stack;
let agent: AgentHandle;
let id: string;
let rows: number[][];

beforeAll(async () => {
  stack = await Stack.start();
  agent = await stack.addAgent('edge', 2);
  const { version } = await stack.push('v1');
  await stack.deploy(version);
  rows = await mortgageRows('traffic');
  await until('the model', async () =>
    (await stack.infer(agent, [rows[0]])).status === 200 ? true : null,
  );
  const { items } = await stack.api<{ items: AgentView[] }>('GET', '/agents');
  id = items[0].id;
});
afterAll(() => stack.stop());

const ask = <T>(what: string, json?: unknown) =>
  stack.api<T>('POST', `/agents/${id}/${what}`, json);
const shown = () => stack.api<AgentView>('GET', `/agents/${id}`);

/** The command as people type it; what it printed with `--json`. */
function driftline(...argv: string[]) {
  const env = { ...process.env, DRIFTLINE_URL: stack.url, DRIFTLINE_TOKEN: stack.token };
  const program = join(ROOT, 'control-plane/cli/driftline.js');
  const ran = spawnSync(process.execPath, [program, ...argv], { env, encoding: 'utf8' });
  return { status: ran.status, out: ran.stdout, err: ran.stderr };
}

describe('an agent process that an operator commands', () => {
  it('DRAIN-1, DRAIN-2: is drained, shown so, and undrained; a restart undrains it too', async () => {
    expect(await ask<Drained>('drain')).toEqual({ draining: true, inFlight: 0 });
    expect((await stack.infer(agent, [rows[0]])).status).toBe(503);
    await until('the report', async () => ((await shown()).draining ? true : null));
    expect(driftline('agents', 'list').out).toMatch(/edge +drained/);
    await ask('undrain');
    expect((await stack.infer(agent, [rows[0]])).status).toBe(200);
    await ask('drain');
    await agent.program.end('SIGTERM');
    await stack.restartAgent(agent, 2);
    await agent.program.line('joined');
    await until('an answer', async () =>
      (await stack.infer(agent, [rows[0]])).status === 200 ? true : null,
    );
    await until('the report', async () => ((await shown()).draining ? null : true));
  });

  it('COMMAND-7: restarts its engines without a failed request', async () => {
    const before = await ask<Diagnostics>('diagnostics');
    const traffic = new Traffic(stack, [agent], rows);
    // Each connection is used once: one that is kept may be closed just as a client sends on it.
    stack.keepAlive.maxFreeSockets = 0;
    expect(await ask<Restarted>('restart-engines')).toEqual({ restarted: 2 });
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    const after = await ask<Diagnostics>('diagnostics');
    const pids = ({ engines }: Diagnostics) => engines.processes.map(({ pid }) => pid);
    expect(pids(after)).toHaveLength(2);
    expect(pids(after).filter((pid) => pids(before).includes(pid))).toEqual([]);
    expect(after.engines).toMatchObject({ wanted: 2, alive: 2, deaths: 0 });
  });

  it('COMMAND-8: tells one decision, by the id that its answer had', async () => {
    const { parameters } = await stack.infer(agent, [rows[0]]);
    const path = `/decisions/${parameters.decision_id}?deployment=mortgage`;
    const found = await until('the row to be remembered', () =>
      stack.api<DecisionView>('GET', path).catch(() => null),
    );
    expect(found.agent).toBe(id);
    expect(found.record).toMatchObject({ arm: 'stable', row: 0, label: null });
    expect(found.record.prediction).toBeGreaterThan(0);
    const decision = parameters.decision_id;
    const said = driftline('decisions', 'show', decision, '--deployment', 'mortgage', '--json');
    expect(JSON.parse(said.out)).toEqual(found);
    const none = driftline('decisions', 'show', decision, '--deployment', 'mortgage', '--row', '9');
    expect([none.status, none.err]).toEqual([1, expect.stringContaining('remembers no row 9')]);
  });

  it('COMMAND-9: says how it is, without its token', async () => {
    const told = await ask<Diagnostics>('diagnostics');
    expect(diagnosticsSchema.parse(told)).toEqual(told);
    expect(told.deployments).toEqual([{ name: 'mortgage', versions: [1] }]);
    expect(told.log.some((line) => line.includes('serving plan'))).toBe(true);
    expect(JSON.stringify(told)).not.toMatch(/dlj_|dld_/);
  });

  it('COMMAND-10: logs more for a while', async () => {
    const set = await ask<LogLevelSet>('log-level', { level: 'debug', forMs: 1000 });
    expect(set.until).toBeGreaterThan(Date.now());
    const bad = driftline('agents', 'log-level', 'edge', 'loud');
    expect([bad.status, bad.err]).toEqual([2, expect.stringContaining('it must be debug')]);
    const long = driftline('agents', 'log-level', 'edge', 'debug', '--for', '2d');
    expect(long.status).toBe(1);
  });
});

describe('a deployment that is kept to jurisdictions', () => {
  const deploy = (residency: object) =>
    stack.api('PUT', '/deployments/mortgage', { model: 'mortgage', version: 1, residency });
  /** Windows last 500 ms: of those that began since, none has been cut yet. */
  const openSince = () => Date.now() - 499;
  /** Rows, and rows by group, of windows that began since `from`. */
  async function counted(from: number): Promise<{ rows: number; grouped: number }> {
    const path = `/deployments/mortgage/monitoring?include=windows,fairness&from=${from}`;
    const { totals, fairness } = await stack.api<MonitoringView>('GET', path);
    const groups = (fairness ?? []).flatMap((each) => each.groups);
    return { rows: totals.rows, grouped: groups.reduce((sum, group) => sum + group.rows, 0) };
  }
  const merged = (from: number) =>
    until('windows', async () => {
      const now = await counted(from);
      return now.rows >= 20 ? now : null;
    });
  async function followed(): Promise<void> {
    await until('the document', async () => {
      const path = '/deployments/mortgage/agents';
      const { items } = await stack.api<{ items: DeploymentHost[] }>('GET', path);
      return items.length === 1 && items[0].applied >= items[0].desired ? true : null;
    });
  }

  it('RESIDENCY-5: keeps its outcomes on the host, and sends the rest', async () => {
    driftline('agents', 'move', 'edge', 'eu');
    await deploy({ jurisdictions: ['eu'] });
    await followed();
    const whole = openSince();
    for (const row of rows.slice(0, 20)) await stack.infer(agent, [row]);
    expect((await merged(whole)).grouped).toBeGreaterThan(0);
    const set = driftline('residency', 'mortgage', '--outcomes', 'within');
    expect(set.out).toMatch(/hosts\s+in eu\n\s+windows\s+are merged of hosts within/);
    expect(set.out).toMatch(/outcomes\s+leave hosts for a control plane within/);
    await followed();
    const kept = openSince();
    for (const row of rows.slice(20, 40)) await stack.infer(agent, [row]);
    expect((await merged(kept)).grouped).toBe(0);
  });

  it('RESIDENCY-2: stops on a host that is moved away', async () => {
    const decision = (await stack.infer(agent, [rows[0]])).parameters.decision_id;
    driftline('agents', 'move', 'edge', 'us');
    await until('a refusal', async () =>
      (await stack.infer(agent, [rows[0]])).status === 404 ? true : null,
    );
    const shown = driftline('decisions', 'show', decision, '--deployment', 'mortgage');
    expect([shown.status, shown.err]).toEqual([1, expect.stringContaining('host-outside')]);
    const policy = driftline('residency', 'mortgage');
    expect(policy.out).toMatch(/edge\s+us\s+does not get it/);
    const wrong = driftline('residency', 'mortgage', '--decisions', 'eu');
    expect([wrong.status, wrong.err]).toEqual([2, expect.stringContaining('within or anywhere')]);
    driftline('agents', 'move', 'edge', 'eu');
    await until('an answer', async () =>
      (await stack.infer(agent, [rows[0]])).status === 200 ? true : null,
    );
  });
});
