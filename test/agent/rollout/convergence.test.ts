import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DesiredStore } from '../../../agent/rollout/desired-store.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';
import { TestHost } from '../../support/convergence.ts';
import { SLOW_SIZE } from '../../support/slow-model.ts';
import { until } from '../../support/stack.ts';

/** Real processes start and die, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: TestHost;
afterEach(() => host.stop());

const stable = (version: number) => [{ arm: 'stable' as const, version, share: 1 }];

/** Which version answers; the status where none does. */
async function answering(deployment = 'slow'): Promise<number> {
  const { status, body } = await host.test.infer(deployment, 1);
  return status === 200 ? Number(/"model_version":"(\d+)"/.exec(body)?.[1]) : status;
}

/** Kills the engine while it computes a request of this deployment. */
async function dieComputing(deployment: string): Promise<void> {
  const before = host.test.deaths.length;
  const { processes } = await host.pool.snapshot();
  const answer = host.test.infer(deployment, SLOW_SIZE);
  await host.test.waiting(1);
  process.kill(processes[0].pid, 'SIGSEGV');
  await host.test.death(before + 1);
  expect((await answer).status).toBe(503);
  await until('a new engine', async () => (host.pool.alive === 1 ? true : null));
}

describe('a version that kills its engine three times', () => {
  it('is refused with the evidence, and the version before it answers', async () => {
    host = await TestHost.start();
    await host.want(stable(1));
    await host.want(stable(2));
    expect(await answering()).toBe(2);
    for (let k = 0; k < 3; k += 1) await dieComputing('slow');
    const arms = await host.reported(1, 'serving');
    expect(arms.map(({ version, state }) => [version, state])).toEqual([
      [2, 'refused'],
      [1, 'serving'],
    ]);
    expect(arms[0]).toMatchObject({ code: 'engine-crashed' });
    expect(JSON.stringify(arms[0])).toMatch(/3 engines died in 10 minutes.*SIGSEGV/);
    expect(await answering()).toBe(1);
    expect(host.events).toContain('fell-back');
    // Offered anew by a new desired state only.
    await host.want(stable(2));
    expect(await answering()).toBe(2);
  });

  it('as a candidate leaves its traffic to the stable arm', async () => {
    host = await TestHost.start();
    await host.want(stable(1));
    await host.want([
      { arm: 'stable', version: 1, share: 0.5 },
      { arm: 'candidate', version: 2, share: 0.5 },
    ]);
    for (let k = 0; k < 3; k += 1) await dieComputing('slow/versions/2');
    await host.reported(2, 'refused');
    await until('the stable arm alone', async () => {
      const arms = host.convergence.serving?.deployments[0].arms ?? [];
      return arms.length === 1 && arms[0].share === 1 ? true : null;
    });
    expect(await answering()).toBe(1);
  });

  it('goes on where nothing else could answer', async () => {
    host = await TestHost.start();
    await host.want(stable(1));
    for (let k = 0; k < 3; k += 1) await dieComputing('slow');
    expect(await answering()).toBe(1);
    expect(host.events).toEqual([]);
  });
});

describe('DOWNLOAD-3: a version that is long in coming', () => {
  it('holds up no other deployment, and is served once it has come', async () => {
    const server = await new ArtifactServer().start();
    const held: (() => void)[] = [];
    server.intercept = (req, res) => {
      held.push(() => server.answer(req, res));
      return true;
    };
    host = await TestHost.start({ source: () => server.source });
    await host.want(stable(1));
    const [one, two] = host.versions;
    for (const path of [two.manifestPath, two.modelPath]) server.put(await readFile(path));
    await host.forget(two);
    const arm = { arm: 'stable' as const, model: 'slow', share: 1 };
    const deployment = { windowMs: 60_000, serving: {}, monitoring: {} };
    const desired = {
      ...{ agent: `agt_${'0'.repeat(24)}`, generation: 9, issuedAt: 0 },
      expiresAt: Date.now() + 3_600_000,
      deployments: [
        { name: 'slow', ...deployment, arms: [{ ...arm, version: 2, manifest: two.manifest }] },
        { name: 'other', ...deployment, arms: [{ ...arm, version: 1, manifest: one.manifest }] },
      ],
    };
    await host.convergence.want({ desired, unreleased: [] });
    expect([await answering('other'), await answering('slow')]).toEqual([1, 1]);
    const states = host.report?.deployments.map(({ arms }) => [arms[0].version, arms[0].state]);
    expect(states).toEqual([
      [2, 'fetching'],
      [1, 'serving'],
    ]);
    server.intercept = () => false;
    for (const go of held) go();
    await host.reported(2, 'serving');
    expect(await answering('slow')).toBe(2);
    await server.stop();
  });
});

describe('what a host remembers over a restart', () => {
  it('is the plan it serves, and what to fall back to', async () => {
    host = await TestHost.start();
    await host.want(stable(1));
    await host.want(stable(2));
    const store = new DesiredStore(host.test.folder);
    expect((await store.loadLastGood())?.deployments[0].arms[0].version).toBe(2);
    expect((await store.loadFallbacks()).get('slow')?.version).toBe(1);
  });
});

describe('repository control', () => {
  const act = (action: string) =>
    host.test.send('POST', `/v2/repository/models/slow/${action}`, { body: Buffer.from('{}') });
  const index = async () =>
    JSON.parse((await host.test.send('POST', '/v2/repository/index')).body) as unknown[];

  it('is off unless the agent was started with it', async () => {
    host = await TestHost.start();
    await host.want(stable(1));
    expect((await act('unload')).status).toBe(403);
    expect(await answering()).toBe(1);
  });

  it('unloads and loads on every engine what the control plane has given this host', async () => {
    host = await TestHost.start({ repositoryControl: true, engines: 2 });
    host.pool.resize(2);
    await host.want(stable(1));
    await until('two engines', async () => (host.pool.alive === 2 ? true : null));
    expect((await act('unload')).status).toBe(200);
    expect([await answering(), await answering()]).toEqual([503, 503]);
    expect(await index()).toMatchObject([{ version: '1', state: 'UNAVAILABLE' }]);
    expect((await act('load')).status).toBe(200);
    expect([await answering(), await answering()]).toEqual([1, 1]);
    await act('unload');
    await host.want(stable(2));
    expect(await answering()).toBe(2);
  });
});

describe('the engines of a host', () => {
  it('are as many as its deployments ask for, up to its cores', async () => {
    host = await TestHost.start();
    await host.want(stable(1), 2);
    await until('two engines', async () => (host.pool.alive === 2 ? true : null));
    await host.want(stable(1));
    await until('one engine', async () => (host.pool.alive === 1 ? true : null));
    expect(await answering()).toBe(1);
  });
});
