import { afterEach, expect, it, vi } from 'vitest';
import { AttackedHost, digestOf, type Version } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

/** A released version whose manifest lists one more file. */
async function withFile(role: string): Promise<{ version: Version; extra: string }> {
  const made = await host.version('loans', 2);
  const bytes = Buffer.from('#!/bin/sh');
  const extra = digestOf(bytes);
  host.artifacts.set(extra, bytes);
  const manifest = JSON.parse(String(host.artifacts.get(made.manifest)));
  manifest.files.push({ role, digest: extra, sizeBytes: bytes.length });
  const text = Buffer.from(JSON.stringify(manifest));
  host.artifacts.set(digestOf(text), text);
  return { version: { ...made, manifest: digestOf(text) }, extra };
}

it.each(['library', 'model'])(
  'ATTACK-3 extraneous files: a manifest with one more file, a %s, is refused as a whole',
  async (role) => {
    host = await AttackedHost.start();
    const { version, extra } = await withFile(role);
    await host.say({ generation: 2, versions: { loans: version } }, [await host.release(version)]);
    const { deployments } = await host.reports((report) => report.applied === 2);
    expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'manifest-invalid' });
    expect([host.asked.includes(extra), await host.answering()]).toEqual([false, 1]);
  },
);
