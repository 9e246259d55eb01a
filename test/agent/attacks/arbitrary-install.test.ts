import { afterEach, expect, it, vi } from 'vitest';
import { newKey, newKeys, signRoot } from '../../support/roots.ts';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-1 arbitrary install: somebody on the wire without a key installs nothing', async () => {
  host = await AttackedHost.start();
  const evil = await host.version('loans', 2);
  const forged = await host.message(
    { generation: 2, versions: { loans: evil }, key: await newKey() },
    [await host.release(evil, {}, [await newKey()])],
  );
  host.control.say(forged);
  expect((await host.event('desired-refused')).detail).toMatch(/is no online key/);
  // Under the name of the real key.
  host.forget();
  const keyId = host.keys.online.keyId;
  host.control.say({ ...forged, envelope: { ...forged.envelope, keyId } });
  expect((await host.event('desired-refused')).detail).toMatch(/did not sign it/);
  expect([await host.answering(), host.asked]).toEqual([1, []]);
});

it('ATTACK-1 arbitrary install: other bytes under the digest of a released version are thrown away', async () => {
  host = await AttackedHost.start();
  const next = await host.version('loans', 2);
  const evil = await host.version('evil', 3);
  const [, model] = next.files;
  host.artifacts.set(model, host.artifacts.get(evil.files[1]) ?? Buffer.alloc(0));
  await host.say({ generation: 2, versions: { loans: next } }, [await host.release(next)]);
  const { deployments } = await host.reports((report) => report.applied === 2);
  expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'artifact-corrupt' });
  expect(await host.answering()).toBe(1);
  expect(await host.files(model.slice(7))).toEqual([]);
});

it('ATTACK-1 arbitrary install: a control plane with roots of its own is not even spoken to', async () => {
  host = await AttackedHost.start();
  const theirs = await newKeys();
  host.control.roots = [await signRoot(theirs), await signRoot(theirs, { version: 2 })];
  host.control.hangUp();
  await host.control.until(() => host.control.connections === 2);
  host.control.challenge(theirs.online.publicKey);
  await host.control.until(() => host.control.closed === 2);
  expect(host.control.heard.filter(({ kind }) => kind === 'hello')).toHaveLength(1);
  expect(await host.answering()).toBe(1);
});
