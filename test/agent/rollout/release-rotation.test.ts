import { afterEach, expect, it, vi } from 'vitest';
import { newKey, signRoot } from '../../support/roots.ts';
import { AttackedHost } from '../attacks/attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('TRUST-4: what runs goes on when release keys are replaced, also after a restart; what is new needs the new ones', async () => {
  host = await AttackedHost.start();
  const release = await newKey();
  const next = await host.version('loans', 2);
  const old = await host.release(next);
  host.control.roots = [
    ...host.control.roots,
    await signRoot({ ...host.keys, release }, { version: 2 }),
  ];
  host.control.hangUp();
  await host.join();
  await host.say({ generation: 2, versions: { loans: host.good } });
  await host.reports((report) => report.applied === 2);
  expect(await host.answering()).toBe(1);
  await host.halt();
  await host.boot();
  await host.join();
  expect(await host.answering()).toBe(1);
  await host.say({ generation: 3, versions: { loans: next } }, [old]);
  const { deployments } = await host.reports((report) => report.applied === 3);
  expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'not-released' });
  expect(await host.answering()).toBe(1);
  await host.say({ generation: 4, versions: { loans: next } }, [
    await host.release(next, {}, [release]),
  ]);
  await host.reports((report) => report.applied === 4);
  expect(await host.answering()).toBe(2);
});
