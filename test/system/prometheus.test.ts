import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mortgageRows } from '../support/mortgage.ts';
import { type AgentHandle, Stack, until } from '../support/stack.ts';

const installed = spawnSync('prometheus', ['--version']).error === undefined;
const REQUESTS = 7;

let stack: Stack;
let agent: AgentHandle;
let prometheus: ChildProcess;
let url: string;

describe.skipIf(!installed)('a real Prometheus', () => {
  beforeAll(async () => {
    stack = await Stack.start();
    agent = await stack.addAgent('one', 2);
    const { metrics } = await agent.program.line('serving');
    url = `http://127.0.0.1:${await freePort()}`;
    const target = new URL(String(metrics)).host;
    const config = join(stack.folder, 'prometheus.yml');
    const jobs = [{ job_name: 'driftline', static_configs: [{ targets: [target] }] }];
    // YAML is a superset of JSON.
    await writeFile(
      config,
      JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: jobs }),
    );
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(stack.folder, 'tsdb')}`,
        `--web.listen-address=${new URL(url).host}`,
      ],
      { stdio: 'ignore' },
    );
  }, 60_000);

  afterAll(async () => {
    if (!installed) return;
    const ended = once(prometheus, 'exit');
    prometheus.kill('SIGTERM');
    await ended;
    await stack.stop();
  });

  it('scrapes an agent, and counts what its engines answered', async () => {
    const [row] = await mortgageRows('traffic');
    await stack.push('v1');
    await stack.deploy(1);
    await until('the model to answer', async () => {
      const answer = await stack.infer(agent, [row]).catch(() => null);
      return answer?.status === 200 ? answer : null;
    });
    for (let k = 1; k < REQUESTS; k += 1) await stack.infer(agent, [row]);
    await until('the requests to be scraped', async () =>
      (await ask('nv_inference_request_success{model="mortgage"}')) === REQUESTS ? true : null,
    );
    expect(await ask('up{job="driftline"}')).toBe(1);
    expect(await ask('driftline_engines')).toBe(2);
    const p99 = 'histogram_quantile(0.99, driftline_request_duration_seconds_bucket)';
    expect(await ask(p99)).toBeGreaterThan(0);
  });
});

/** The value of an instant query's one series; null while there is none. */
async function ask(query: string): Promise<number | null> {
  const res = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`).catch(
    () => null,
  );
  if (res === null || !res.ok) return null;
  const { data } = (await res.json()) as { data: { result: { value: [number, string] }[] } };
  return data.result.length === 0 ? null : Number(data.result[0].value[1]);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return address !== null && typeof address === 'object' ? address.port : 0;
}
