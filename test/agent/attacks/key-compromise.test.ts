import { afterEach, expect, it, vi } from 'vitest';
import { newKey } from '../../support/roots.ts';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-8 key compromise: whoever has the online key alone introduces no model', async () => {
  host = await AttackedHost.start();
  const evil = await host.version('loans', 2);
  const { online, root } = host.keys;
  const forged = [
    [],
    // Signed by the key that was stolen, by one that says it is a release key, and by too high a key of the chain.
    [await host.release(evil, {}, [online])],
    [await host.release(evil, {}, [await newKey()])],
    [await host.release(evil, {}, [root])],
    // A release that is real, of another version.
    [await host.release(host.good)],
  ];
  for (const [at, releases] of forged.entries()) {
    host.forget();
    await host.say({ generation: 2 + at, versions: { loans: evil } }, releases);
    const { deployments } = await host.reports((report) => report.applied === 2 + at);
    expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'not-released' });
    expect([await host.answering(), host.asked]).toEqual([1, []]);
  }
  // The same with a release: what was missing was nothing else.
  await host.say({ generation: 9, versions: { loans: evil } }, [await host.release(evil)]);
  await host.reports((report) => report.applied === 9);
  expect(await host.answering()).toBe(2);
});
