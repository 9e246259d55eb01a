import { afterEach, expect, it, vi } from 'vitest';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-5 freeze: once its document has expired a host says so, serves on, and installs nothing', async () => {
  host = await AttackedHost.start();
  const next = await host.version('loans', 2);
  // It is followed while it holds; its files are withheld until it does not.
  let withheld = true;
  host.onDownload = (digest, response) => {
    response.writeHead(withheld ? 503 : 200).end(withheld ? '' : host.artifacts.get(digest));
  };
  const change = { expiresAt: Date.now() + 1500 };
  await host.say({ generation: 2, versions: { loans: next }, change }, [await host.release(next)]);
  await host.reports((report) => report.applied === 2);
  expect((await host.event('stale')).detail).toContain('STALE');
  withheld = false;
  host.forget();
  const stale = await host.reports((report) => report.stale === true);
  expect(stale.observed).toBe(2);
  // The next attempt, two seconds after the last, asks for nothing.
  host.forget();
  await host.reports((report) => report.stale === true);
  expect([await host.answering(), host.asked]).toEqual([1, []]);
  // A recording of it is no way out, and neither is a restart.
  await host.say({ generation: 3, versions: { loans: next }, change });
  expect((await host.event('desired-refused')).detail).toContain('expired at');
  await host.halt();
  await host.boot();
  await host.join();
  expect((await host.reports((report) => report.stale === true)).observed).toBe(2);
  expect([await host.answering(), host.asked]).toEqual([1, []]);
  // A document that holds ends it.
  host.forget();
  await host.say({ generation: 4, versions: { loans: next } });
  await host.reports((report) => report.applied === 4 && report.stale === false);
  expect(await host.answering()).toBe(2);
});
