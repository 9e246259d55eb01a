import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mortgageRows } from '../support/mortgage.ts';
import { type AgentHandle, Stack, until } from '../support/stack.ts';

let stack: Stack;
let agent: AgentHandle;
let rows: number[][];
let urls: Record<string, unknown>;

beforeAll(async () => {
  rows = await mortgageRows('traffic');
  stack = await Stack.start();
  agent = await stack.addAgent('one', 1);
  urls = await agent.program.line('serving');
  await stack.push('v1');
  await stack.push('v2');
  await stack.deploy(1);
  await answers('1');
}, 60_000);
afterAll(() => stack.stop());

const answers = (version: string) =>
  until(`version ${version} to answer`, async () => {
    const answer = await stack.infer(agent, [rows[0]]).catch(() => null);
    return answer?.status === 200 && answer.model_version === version ? answer : null;
  });

async function metrics(): Promise<Map<string, number>> {
  const req = get(String(urls.metrics));
  const [res] = await once(req, 'response');
  expect(res.statusCode).toBe(200);
  const lines = (await text(res)).split('\n').filter((line) => /^\w/.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** The line of the log that tells of an engine's end, after `from` lines of it. */
const engineExited = (from: number) => agent.program.line('engine exited', from);

/** Kills the one engine with the signal of a native crash, after it has computed something. */
async function crash(version: string): Promise<void> {
  await answers(version);
  const from = agent.program.lines.length;
  process.kill(enginePid(), 'SIGSEGV');
  expect(await engineExited(from)).toMatchObject({ detail: expect.stringContaining('SIGSEGV') });
}

function enginePid(): number {
  const children = execFileSync('pgrep', ['-P', String(agent.program.child.pid)]);
  return Number(children.toString().trim().split('\n')[0]);
}

describe('a version that kills its engine three times', () => {
  it('is refused by the host, and the version before it answers again', async () => {
    await stack.deploy(2);
    const from = agent.program.lines.length;
    for (let k = 0; k < 3; k += 1) await crash('2');
    expect(await agent.program.line('version refused', from)).toMatchObject({
      code: 'engine-crashed',
      detail: expect.stringMatching(/3 engines died in 10 minutes.*SIGSEGV/),
    });
    await answers('1');
    await until('the control plane to know', async () => {
      const agents = JSON.stringify(await stack.api('GET', '/deployments/mortgage'));
      return agents.includes('engine-crashed') ? true : null;
    });
  }, 60_000);
});

describe('the metrics port', () => {
  it('counts requests over the engines that died, and the deaths', async () => {
    const series = 'nv_inference_request_success{model="mortgage",version="1"}';
    await answers('1');
    const before = await metrics();
    expect(before.get('driftline_engine_deaths_total')).toBe(3);
    expect(before.get('driftline_engines')).toBe(1);
    expect(before.get('driftline_link_up')).toBe(1);
    await crash('1');
    await answers('1');
    const after = await metrics();
    expect(after.get('driftline_engine_deaths_total')).toBe(4);
    expect(after.get(series)).toBeGreaterThan(before.get(series) ?? 0);
  });
});

describe('the gRPC port', () => {
  it('is handed to engines by the supervisor as the HTTP port is', async () => {
    const client = connectHttp2(`http://${urls.grpc}`);
    const call = client.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ServerLive',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const trailers = once(call, 'trailers');
    call.end(Buffer.alloc(5));
    const chunks: Buffer[] = [];
    for await (const chunk of call) chunks.push(chunk);
    expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
    // Not compressed, two bytes: field 1 is true.
    expect([...Buffer.concat(chunks)]).toEqual([0, 0, 0, 0, 2, 8, 1]);
    client.close();
  });
});
