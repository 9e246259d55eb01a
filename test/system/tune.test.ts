import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentHost } from '../../control-plane/http/deployment-hosts.ts';
import type { DeploymentStatus } from '../../control-plane/http/deployments.ts';
import type { StoredTuning, TuneResult } from '../../control-plane/http/tuning.ts';
import { servingSchema } from '../../protocol/serving.ts';
import { tuningSchema } from '../../protocol/tuning.ts';
import { mortgageRows } from '../support/mortgage.ts';
import { ROOT } from '../support/source-files.ts';
import { type AgentHandle, Stack, Traffic, until } from '../support/stack.ts';

const run = promisify(execFile);

let stack: Stack;
let agent: AgentHandle;

beforeAll(async () => {
  stack = await Stack.start();
  agent = await stack.addAgent('edge-1');
  for (const which of ['v1', 'v2'] as const) await stack.push(which);
  await stack.deploy(1);
  await until('version 1', async () => {
    const { status } = await stack.infer(agent, [new Array(10).fill(1)]);
    return status === 200 ? true : null;
  });
});
afterAll(() => stack.stop());

async function driftline(...args: string[]): Promise<string> {
  const main = join(ROOT, 'dist/control-plane/cli/main.js');
  const env = { ...process.env, DRIFTLINE_URL: stack.url, DRIFTLINE_TOKEN: stack.token };
  return (await run(process.execPath, [main, ...args], { env })).stdout;
}

const json = async <T>(...args: string[]) => JSON.parse(await driftline(...args, '--json')) as T;
const status = () => stack.api<DeploymentStatus>('GET', '/deployments/mortgage');

describe('driftline tune', () => {
  it('measures beside the engines, recommends, keeps the table and applies it where nothing is set', async () => {
    await driftline('serving', 'mortgage', '--max-queue', '77', '--max-batch-size', '3');
    const traffic = new Traffic(stack, [agent], await mortgageRows('traffic'));
    const before = performance.now();
    const { tuning, agentName } = await json<TuneResult>('tune', 'mortgage');
    const tookMs = performance.now() - before;
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    expect(traffic.answeredRows).toBeGreaterThan(50);
    expect(tookMs).toBeLessThan(45_000);

    expect(agentName).toBe('edge-1');
    const table = tuningSchema.parse(tuning.tuning);
    expect(table.version).toBe(1);
    expect(table.rowsIndependent).toBe(true);
    const inline = table.rows.filter(
      (row) => row.placement === 'inline' && row.intraOpThreads === 1,
    );
    expect(inline.map(({ batchSize }) => batchSize)).toEqual([1, 2, 4, 8, 16, 32, 64]);
    expect(table.rows.some(({ placement }) => placement === 'worker')).toBe(true);
    for (const { callUs, rowsPerSecond, workers } of table.rows) {
      expect(callUs).toBeGreaterThan(0);
      // Nothing is faster than its calls: a sanity of units, with room for a median beside a mean.
      expect(rowsPerSecond).toBeLessThan((10 * Math.max(1, workers) * 64 * 1e6) / callUs);
    }
    // The example is a small tree ensemble: microseconds inline.
    expect(servingSchema.parse(table.recommended).placement).toBe('inline');

    const { serving, tuned, inForce } = await status();
    expect(serving.batching).toEqual({ maxQueueRequests: 77, maxBatchSize: 3 });
    expect(tuned).toEqual(table.recommended);
    expect(inForce).toMatchObject({ placement: 'inline', batching: { maxBatchSize: 3 } });
    const list = await stack.api<{ items: StoredTuning[] }>('GET', '/deployments/mortgage/tunings');
    expect(list.items.map(({ id }) => id)).toEqual([tuning.id]);
  });

  it('is shown by "serving" with the recommended row marked, and forgotten by --reset', async () => {
    const shown = await driftline('serving', 'mortgage');
    expect(shown).toMatch(/max-queue +77 +set/);
    expect(shown).toMatch(/placement +inline +tuned/);
    expect(shown).toMatch(/workers +each host decides/);
    expect(shown).toMatch(/^\* +inline +\d/m);
    expect(shown).toMatch(/^recommended: /m);
    await driftline('serving', 'mortgage', '--reset');
    expect(await status()).toMatchObject({ serving: {}, tuned: {}, inForce: {} });
    const answer = await stack.infer(agent, [new Array(10).fill(1)]);
    expect(answer.status).toBe(200);
  });
});

describe('driftline serving', () => {
  it('pins a version, which then answers by its path beside the stable one, and lets it go', async () => {
    const { pinned } = await json<{ pinned: number[] }>('serving', 'mortgage', '--pin', '2');
    expect(pinned).toEqual([2]);
    const path = `${agent.url}/v2/models/mortgage/versions/2/ready`;
    await until('version 2', async () => ((await fetch(path)).ok ? true : null));
    const { model_version: version } = await stack.infer(agent, [new Array(10).fill(1)]);
    expect(version).toBe('1');
    await driftline('serving', 'mortgage', '--unpin');
    await until('no version 2', async () => ((await fetch(path)).ok ? null : true));
  });

  it('moves the model onto workers while it answers', async () => {
    const traffic = new Traffic(stack, [agent], await mortgageRows('traffic'));
    await driftline('serving', 'mortgage', '--placement', 'worker', '--workers', '1');
    const agents = await until('the new generation', async () => {
      const path = '/deployments/mortgage/agents';
      const { items } = await stack.api<{ items: DeploymentHost[] }>('GET', path);
      return items.every(({ applied, desired }) => applied >= desired) ? items : null;
    });
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    expect(agents).toHaveLength(1);
  });

  it('refuses what it does not understand, with exit code 2', async () => {
    const wrong = [
      ['--workers', '65'],
      ['--placement', 'gpu'],
      ['--providers', 'rocm'],
      ['--pin', 'x'],
    ];
    for (const args of wrong) {
      const failure = await driftline('serving', 'mortgage', ...args).catch((error) => error);
      expect(failure, args.join(' ')).toMatchObject({ code: 2 });
      expect(String(failure.stderr)).toContain(args[0]);
    }
  });
});
