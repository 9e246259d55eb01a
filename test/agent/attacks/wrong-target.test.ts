import { afterEach, expect, it, vi } from 'vitest';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-9 wrong target: a document of another agent is refused', async () => {
  host = await AttackedHost.start();
  const change = { agent: `agt_${'e'.repeat(24)}` };
  await host.say({ generation: 2, versions: {}, change });
  expect((await host.event('desired-refused')).detail).toContain('is for agt_eee');
  expect(await host.answering()).toBe(1);
});

it('ATTACK-9 wrong target: a version runs only as the deployment and on the hosts that its release names', async () => {
  host = await AttackedHost.start({ labels: { site: 'lab' } });
  const next = await host.version('loans', 2);
  const wrong = [
    [{ deployments: ['other'] }, /it is for other, not for/],
    [{ labels: { site: 'vault' } }, /hosts with --label site=vault/],
    [{ labels: { rack: '7' } }, /hosts with --label rack=7/],
  ] as const;
  for (const [at, [target, why]] of wrong.entries()) {
    host.forget();
    const release = await host.release(next, target);
    await host.say({ generation: 2 + at, versions: { loans: next } }, [release]);
    const { deployments } = await host.reports((report) => report.applied === 2 + at);
    expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'not-released' });
    expect(JSON.stringify(deployments[0].arms[0])).toMatch(why);
    expect([await host.answering(), host.asked]).toEqual([1, []]);
  }
  const right = await host.release(next, { deployments: ['loans'], labels: { site: 'lab' } });
  await host.say({ generation: 9, versions: { loans: next } }, [right]);
  await host.reports((report) => report.applied === 9);
  expect(await host.answering()).toBe(2);
  // As another deployment beside it, the same version takes the whole document down and not the deployment.
  host.forget();
  await host.say({ generation: 10, versions: { loans: next, cards: next } }, [right]);
  expect((await host.event('desired-refused')).detail).toContain('and not as "cards" beside that');
  expect([await host.answering(), await host.answering('cards')]).toEqual([2, 404]);
});
