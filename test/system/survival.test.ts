import { execFileSync } from 'node:child_process';
import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mortgageRows } from '../support/mortgage.ts';
import { type AgentHandle, Stack, Traffic, until } from '../support/stack.ts';

let stack: Stack;
let rows: number[][];
let one: AgentHandle;
let two: AgentHandle;

const serves = (agent: AgentHandle, version: string) =>
  until(`${agent.name} to serve version ${version}`, async () => {
    const answer = await stack.infer(agent, [rows[0]]).catch(() => null);
    if (answer?.status === 200) counted += 1;
    return answer?.model_version === version ? answer : null;
  });

/** Every row that any test of this file had answered: what the control plane must have merged in the end. */
let counted = 0;

async function everythingMerged(): Promise<void> {
  await until(
    `${counted} rows to be merged`,
    async () => ((await stack.totals()).rows === counted ? true : null),
    20_000,
  ).catch(async () => expect((await stack.totals()).rows).toBe(counted));
}

beforeAll(async () => {
  rows = await mortgageRows('traffic');
  stack = await Stack.start();
  [one, two] = [await stack.addAgent('one', 2), await stack.addAgent('two', 1)];
  await stack.push('v1');
  await stack.push('v3');
  await stack.deploy(1);
  await serves(one, '1');
  await serves(two, '1');
}, 60_000);

afterAll(() => stack.stop());

describe('what survives', () => {
  it('kill -9 of the control plane: agents serve on, and no window is lost or counted twice', async () => {
    const traffic = new Traffic(stack, [one, two], rows);
    await new Promise((wake) => setTimeout(wake, 1500));
    await stack.endControl('SIGKILL');
    const before = traffic.answeredRows;
    await new Promise((wake) => setTimeout(wake, 2000));
    expect(traffic.answeredRows).toBeGreaterThan(before + 100);
    await stack.restartControl();
    await new Promise((wake) => setTimeout(wake, 700));
    await stack.endControl('SIGKILL');
    await stack.restartControl();
    await new Promise((wake) => setTimeout(wake, 1500));
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    counted += traffic.answeredRows;
    await everythingMerged();
  }, 60_000);

  it('kill -9 of an engine: the other serves on, and a new one is up in seconds', async () => {
    const engines = () =>
      execFileSync('pgrep', ['-P', String(one.program.child.pid)], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map(Number);
    await everythingMerged();
    const [victim, other] = engines();
    const killedAt = Date.now();
    process.kill(victim, 'SIGKILL');
    // New connections all reach an engine that lives; those of the dead one are reset, as TCP says.
    await until('a new engine', async () => {
      const now = engines();
      return now.length === 2 && now.includes(other) && !now.includes(victim) ? now : null;
    });
    await serves(one, '1');
    expect(Date.now() - killedAt).toBeLessThan(5000);
    const traffic = new Traffic(stack, [one], rows);
    await new Promise((wake) => setTimeout(wake, 500));
    await traffic.stop();
    expect(traffic.failed.filter((each) => !each.includes('ECONNRESET'))).toEqual([]);
    counted += traffic.answeredRows;
    await everythingMerged();
  }, 60_000);

  it('kill -9 of an agent while the control plane is away: it serves from disk what it served', async () => {
    await everythingMerged();
    await stack.endControl('SIGKILL');
    await two.program.end('SIGKILL');
    await stack.restartAgent(two);
    await serves(two, '1');
    await stack.restartControl();
    await everythingMerged();
    await stack.deploy(2);
    await serves(two, '2');
    await serves(one, '2');
    await stack.deploy(1);
    await serves(one, '1');
    await serves(two, '1');
  }, 60_000);

  it('a torn outbox and a rotten model on disk: the agent says so, fetches again and serves', async () => {
    await everythingMerged();
    await two.program.end('SIGKILL');
    const models = join(stack.folder, 'two', 'artifacts', 'sha256');
    for (const folder of readdirSync(models)) {
      for (const file of readdirSync(join(models, folder)))
        truncateSync(join(models, folder, file), 100);
    }
    await stack.restartAgent(two);
    await serves(two, '1');
    expect(two.program.text).toContain('does not match its digest');
  }, 60_000);
});
