import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mortgageRows } from '../support/mortgage.ts';
import { type AgentHandle, Stack, Traffic, until } from '../support/stack.ts';

interface Rollout {
  id: string;
  state: { kind: string; [field: string]: unknown };
}

let stack: Stack;
let rows: number[][];
const agents: AgentHandle[] = [];

async function allServe(version: string): Promise<void> {
  for (const agent of agents) {
    await until(`${agent.name} to serve ${version}`, async () => {
      const answer = await stack.infer(agent, [rows[0]]);
      return answer.model_version === version ? answer : null;
    });
  }
}

beforeAll(async () => {
  rows = await mortgageRows('traffic');
  stack = await Stack.start();
  for (const name of ['red', 'green', 'blue']) agents.push(await stack.addAgent(name));
  for (const which of ['v1', 'v2', 'v3'] as const) await stack.push(which);
  await stack.deploy(1, 1000);
  await allServe('1');
}, 60_000);

afterAll(() => stack.stop());

describe('taking a version back', () => {
  it('an operator reaches the last of three agents within a second', async () => {
    await stack.deploy(2, 1000);
    await allServe('2');
    const askedAt = performance.now();
    await stack.api('POST', '/deployments/mortgage/rollback', { to: 1, reason: 'test' });
    await allServe('1');
    expect(performance.now() - askedAt).toBeLessThan(1000);
  }, 30_000);

  it('a canary whose predictions drift is taken back by itself; its clients notice nothing', async () => {
    const traffic = new Traffic(stack, agents, rows);
    const rollout = await stack.api<Rollout>('POST', '/deployments/mortgage/rollouts', {
      version: 2,
      canary: { agents: 1 },
    });
    const ended = await until(
      'the automatic rollback',
      async () => {
        const now = await stack.api<Rollout>('GET', `/rollouts/${rollout.id}`);
        return /rolled-back|completed/.test(now.state.kind) ? now : null;
      },
      20_000,
    );
    expect(ended.state.kind).toBe('rolled-back');
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    await allServe('1');
  }, 40_000);

  it('a good canary is promoted everywhere', async () => {
    const traffic = new Traffic(stack, agents, rows);
    const rollout = await stack.api<Rollout>('POST', '/deployments/mortgage/rollouts', {
      version: 3,
      canary: { agents: 1 },
      observeMs: 3000,
    });
    const ended = await until(
      'the promotion',
      async () => {
        const now = await stack.api<Rollout>('GET', `/rollouts/${rollout.id}`);
        return /rolled-back|completed|held/.test(now.state.kind) ? now : null;
      },
      30_000,
    );
    expect(ended.state.kind).toBe('completed');
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    await allServe('3');
  }, 40_000);

  it('a version that an agent refuses never serves, and what ran keeps running', async () => {
    const { items } = await stack.api<{ items: { action: string }[] }>('GET', '/audit?limit=200');
    expect(items.length).toBeGreaterThan(5);
    const deployment = await stack.api<{ version: number }>('GET', '/deployments/mortgage');
    expect(deployment.version).toBe(3);
  });
});
