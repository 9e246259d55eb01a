import { afterEach, expect, it, vi } from 'vitest';
import { loadTrust } from '../../../agent/link/root-file.ts';
import { signRoot } from '../../support/roots.ts';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-7 rollback: an older document is refused, also after a restart, and an older root too', async () => {
  host = await AttackedHost.start();
  const older = await host.message({ generation: 2, versions: { loans: host.good } });
  const next = await host.version('loans', 2);
  await host.say({ generation: 3, versions: { loans: next } }, [await host.release(next)]);
  await host.reports((report) => report.applied === 3);
  const first = host.control.roots;
  host.control.roots = [...first, await signRoot(host.keys, { version: 2 })];
  host.control.hangUp();
  await host.join();
  for (const restarted of [false, true]) {
    if (restarted) {
      await host.halt();
      await host.boot();
      await host.join();
    }
    host.forget();
    host.control.say(older);
    expect((await host.event('desired-refused')).detail).toContain('generation 2 is older than 3');
    expect(await host.answering()).toBe(2);
  }
  // Whoever shows the chain without its end shows an agent nothing new: it stays with root 2.
  host.control.roots = first;
  host.control.hangUp();
  await host.join();
  expect((await loadTrust(`${host.folder}/agent`)).root?.version).toBe(2);
});
