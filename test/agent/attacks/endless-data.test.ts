import { afterEach, expect, it, vi } from 'vitest';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-2 endless data: a download is read to the size that its manifest states, and no further', async () => {
  host = await AttackedHost.start();
  const next = await host.version('loans', 2);
  const [manifest, model] = next.files;
  let sent = 0;
  let cut = false;
  host.onDownload = (digest, response) => {
    response.writeHead(200);
    const bytes = host.artifacts.get(digest);
    response.write(bytes);
    if (digest === manifest) {
      response.end();
      return;
    }
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      while (!cut && response.write(chunk)) sent += chunk.length;
    };
    response.on('drain', more);
    response.on('close', () => {
      cut = true;
    });
    more();
  };
  await host.say({ generation: 2, versions: { loans: next } }, [await host.release(next)]);
  const { deployments } = await host.reports((report) => report.applied === 2);
  expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'artifact-corrupt' });
  expect(JSON.stringify(deployments[0].arms[0])).toMatch(/is longer than the \d+ bytes/);
  expect(await host.files(model.slice(7))).toEqual([]);
  // What two sockets buffer, and not what a link carries in that time.
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  expect(await host.answering()).toBe(1);
});

it('ATTACK-2 endless data: a manifest ends at its bound, whose size nobody has signed', async () => {
  host = await AttackedHost.start();
  const next = await host.version('loans', 2);
  host.onDownload = (_, response) => {
    response.writeHead(200);
    const chunk = Buffer.alloc(64 * 1024, 0x20);
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  };
  await host.say({ generation: 2, versions: { loans: next } }, [await host.release(next)]);
  const { deployments } = await host.reports((report) => report.applied === 2);
  expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'artifact-corrupt' });
  expect(await host.answering()).toBe(1);
});
