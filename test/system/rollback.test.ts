import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../../protocol/manifest.ts';
import { describeMortgage, mortgageRows } from '../support/mortgage.ts';
import { type AgentHandle, Stack, Traffic, until } from '../support/stack.ts';

interface Rollout {
  id: string;
  state: { kind: string; [field: string]: unknown };
}

interface Hosts {
  items: { arms: { state: string; code?: string }[] }[];
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

  it('a version that hosts refuse never serves: what ran keeps running, and its rollout fails', async () => {
    const version = await pushDisagreeing();
    await stack.deploy(version, 1000);
    const refusals = await until('all three to refuse', async () => {
      const { items } = await stack.api<Hosts>('GET', '/deployments/mortgage/agents');
      const refused = items.flatMap((a) => a.arms.filter((arm) => arm.state === 'refused'));
      return refused.length === 3 ? refused : null;
    });
    expect(new Set(refusals.map((arm) => arm.code))).toEqual(new Set(['golden-mismatch']));
    await allServe('3');

    // Going "back" to what nobody can serve must not be reported as done.
    const back = await stack.api<{ generation: number }>('POST', '/deployments/mortgage/rollback', {
      to: 1,
      reason: 'a version that works',
    });
    expect(await confirmed(back.generation, 2000)).toHaveLength(3);
    await allServe('1');
    const again = await stack.api<{ generation: number }>(
      'POST',
      '/deployments/mortgage/rollback',
      {
        to: version,
        reason: 'a version that no host can serve',
      },
    );
    expect(await confirmed(again.generation, 1500)).toEqual([]);
    await allServe('1');

    await stack.api('POST', '/deployments/mortgage/rollback', {
      to: 3,
      reason: 'refused everywhere',
    });
    const rollout = await stack.api<Rollout>('POST', '/deployments/mortgage/rollouts', {
      version,
      canary: { agents: 1 },
    });
    const ended = await until('the rollout to fail', async () => {
      const now = await stack.api<Rollout>('GET', `/rollouts/${rollout.id}`);
      return now.state.kind === 'rolled-back' ? now : null;
    });
    expect(JSON.stringify(ended.state)).toContain('golden-mismatch');
    await allServe('3');
  }, 40_000);

  it('the audit record says who did what, in order', async () => {
    const { items } = await stack.api<{ items: { action: string; actor: string }[] }>(
      'GET',
      '/audit?limit=200',
    );
    const actions = items.map((event) => event.action);
    expect(actions).toContain('version.registered');
    expect(actions.indexOf('version.registered')).toBeLessThan(
      actions.lastIndexOf('rollout.started'),
    );
    expect(items.every((event) => event.actor.length > 0)).toBe(true);
  });
});

async function confirmed(generation: number, waitMs: number): Promise<number[]> {
  const path = `/deployments/mortgage/confirmations?generation=${generation}&waitMs=${waitMs}`;
  const { agents: all } = await stack.api<{ agents: { confirmedAfterMs: number | null }[] }>(
    'GET',
    path,
  );
  return all.flatMap((agent) => agent.confirmedAfterMs ?? []);
}

/** A version whose golden vectors were made by another model: no host may agree with them. */
async function pushDisagreeing(): Promise<number> {
  const [v1, v2] = await Promise.all([
    describeMortgage('v1', stack.folder),
    describeMortgage('v2', stack.folder),
  ]);
  const manifest = JSON.parse(await readFile(v2.files.manifestPath, 'utf8')) as Manifest;
  const golden = await readFile(String(v1.files.goldenPath));
  const digest = await stack.upload(golden);
  const files = manifest.files.map((file) =>
    file.role === 'golden' ? { role: 'golden', digest, sizeBytes: golden.length } : file,
  );
  const bytes = Buffer.from(JSON.stringify({ ...manifest, files }));
  const pushed = await stack.api<{ version: number }>('POST', '/models/mortgage/versions', {
    manifest: await stack.upload(bytes),
  });
  return pushed.version;
}
