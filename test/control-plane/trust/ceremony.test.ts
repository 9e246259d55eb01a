import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Client } from '../../../control-plane/cli/client.ts';
import {
  keysExport,
  keysInit,
  keysRotateOnline,
  keysRotateRoot,
  keysSignRelease,
} from '../../../control-plane/cli/keys.ts';
import { Terminal } from '../../../control-plane/cli/terminal.ts';
import type { TrustView } from '../../../control-plane/http/trust.ts';
import { type ControlPlane, startControlPlane } from '../../../control-plane/main.ts';
import { Store } from '../../../control-plane/store/database.ts';
import { insertVersion } from '../../../control-plane/store/models.ts';
import { keyPath, makeKey } from '../../../control-plane/store/signing-key.ts';
import { Trust } from '../../../control-plane/trust/trust.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { digestOf, exampleManifest, exampleModel, jsonBytes } from '../../support/control-app.ts';

const out = new PassThrough().resume();
const terminal = new Terminal({ out, err: out, json: false, colour: false });
const ROTATE = { signWith: [], root: [], rootThreshold: '1', release: [], releaseThreshold: '1' };

let folder: string;
let data: string;
let control: ControlPlane | null = null;
let token: string | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'driftline-keys-'));
  data = join(folder, 'control');
  token = null;
});
afterEach(async () => {
  await control?.close();
  control = null;
  await rm(folder, { recursive: true });
});

async function restart(): Promise<Client> {
  await control?.close();
  const config = { dataDir: data, host: '127.0.0.1', port: 0, hostNames: [] };
  control = await startControlPlane(config, pino({ level: 'silent' }));
  token ??= control.adminToken;
  return new Client({ url: control.url, token });
}

const trustOf = (client: Client) => client.get<TrustView>('/api/v1/trust');

async function push(client: Client, name: 'v1' | 'v2') {
  const model = await exampleModel(name);
  const manifest = jsonBytes(await exampleManifest(model));
  for (const bytes of [model, manifest]) {
    const headers = { 'content-length': bytes.length };
    await client.send(
      'PUT',
      `/api/v1/artifacts/${digestOf(bytes)}`,
      headers,
      Readable.from([bytes]),
    );
  }
  return client.post<{ version: number; released: boolean }>('/api/v1/models/mortgage/versions', {
    manifest: digestOf(manifest),
  });
}

const deploy = (client: Client, version: number) =>
  client.put(`/api/v1/deployments/loans`, { model: 'mortgage', version });

describe('TRUST-5: a control plane with its release key', () => {
  it('makes all keys at its first start, for its owner alone, and releases what is pushed', async () => {
    const client = await restart();
    const files = (await readdir(data)).filter((name) => name.endsWith('-key.json')).sort();
    expect(files).toEqual(['release-key.json', 'root-key.json', 'signing-key.json']);
    for (const file of files) expect((await stat(join(data, file))).mode & 0o077).toBe(0);
    expect(await trustOf(client)).toMatchObject({
      managed: true,
      unreleased: [],
      root: { version: 1 },
    });
    expect(await push(client, 'v1')).toMatchObject({ version: 1, released: true });
    await deploy(client, 1);
  });

  it('releases at an upgrade what was pushed before there were releases', async () => {
    const store = await Store.open(data);
    const document = await exampleManifest(await exampleModel('v1'));
    const manifest = digestOf(jsonBytes(document));
    await store.write((tx) => insertVersion(tx, manifest, document, 'test', 0));
    const trust = await Trust.open(store, data, Date.now());
    expect(trust.releasesOf([manifest])).toHaveLength(1);
    await store.close();
  });

  it('signs all anew when its release key is replaced, and starts with no other online key', async () => {
    await push(await restart(), 'v1');
    const release = await makeKey(folder, 'release');
    await keysRotateRoot(terminal, { ...ROTATE, data, release: [keyPath(folder, 'release')] });
    await rm(keyPath(data, 'release'));
    const client = await restart();
    expect((await trustOf(client)).unreleased).toEqual([{ model: 'mortgage', version: 1 }]);
    await keysSignRelease({ client, terminal }, 'mortgage@1', {
      key: keyPath(folder, 'release'),
      deployment: [],
      label: [],
    });
    expect((await trustOf(client)).root.roles.release.keys).toEqual([toHex(release.publicKey)]);
    await control?.close();
    control = null;
    await rm(keyPath(data, 'signing'));
    await expect(restart()).rejects.toThrow('which root 2 does not name as online');
    client.close();
  });
});

describe('TRUST-5: a control plane without release keys', () => {
  it('lets nothing be deployed before whoever has them has signed it', async () => {
    await restart();
    const stick = join(folder, 'stick');
    await keysExport(terminal, data, stick);
    expect((await readdir(stick)).sort()).toEqual(['release-key.json', 'root-key.json']);
    expect((await readdir(data)).filter((name) => name.endsWith('-key.json'))).toEqual([
      'signing-key.json',
    ]);
    const client = await restart();
    expect(await push(client, 'v1')).toMatchObject({ released: false });
    await expect(deploy(client, 1)).rejects.toThrow(
      'driftline keys sign-release mortgage@1 --key FILE',
    );
    const own = join(folder, 'mine.json');
    await keysInit(terminal, own);
    const sign = { deployment: [], label: [] };
    await keysSignRelease({ client, terminal }, 'mortgage@1', { ...sign, key: own });
    expect(process.exitCode).toBe(1);
    process.exitCode = 0;
    await expect(deploy(client, 1)).rejects.toThrow('is not released');
    await keysSignRelease({ client, terminal }, 'mortgage@1', {
      ...sign,
      key: join(stick, 'release-key.json'),
    });
    await deploy(client, 1);
    expect((await trustOf(client)).unreleased).toEqual([]);
    // Whoever has no release key takes nothing back with a statement of his own.
    const other = { deployment: ['cards'], label: [], key: own };
    const again = keysSignRelease({ client, terminal }, 'mortgage@1', other);
    await expect(again).rejects.toThrow('is not signed by enough release keys');
    expect((await trustOf(client)).unreleased).toEqual([]);
  });

  it('adds up what several people sign', async () => {
    await restart();
    const files = [join(folder, 'a.json'), join(folder, 'b.json')];
    for (const file of files) await keysInit(terminal, file);
    await keysRotateRoot(terminal, { ...ROTATE, data, release: files, releaseThreshold: '2' });
    const client = await restart();
    await push(client, 'v1');
    const sign = { deployment: ['loans'], label: [] };
    const answers: unknown[] = [];
    for (const file of [files[0], ...files]) {
      await keysSignRelease({ client, terminal }, 'mortgage@1', { ...sign, key: file });
      answers.push(process.exitCode ?? 0);
      process.exitCode = 0;
    }
    // The first of two, the same again, and the second.
    expect(answers).toEqual([1, 1, 0]);
    await deploy(client, 1);
  });
});

describe('an online key that is rotated', () => {
  it('is replaced in one step, whatever is cut short', async () => {
    const before = (await trustOf(await restart())).root.roles.online.keys;
    await keysRotateOnline(terminal, data, []);
    // The root is published; the file of the next key is not in its place yet.
    expect(await readdir(data)).toContain('next-signing-key.json');
    const client = await restart();
    const { root } = await trustOf(client);
    expect([root.version, root.roles.online.keys.includes(before[0])]).toEqual([2, false]);
    expect(await readdir(data)).not.toContain('next-signing-key.json');
    expect((await trustOf(await restart())).root.version).toBe(2);
  });

  it('takes the root key', async () => {
    await restart();
    await keysExport(terminal, data, join(folder, 'stick'));
    await expect(keysRotateOnline(terminal, data, [])).rejects.toThrow(
      '1 of 1 are needed; give their files with --sign-with',
    );
    await keysRotateOnline(terminal, data, [join(folder, 'stick', 'root-key.json')]);
    expect((await trustOf(await restart())).root.version).toBe(2);
  });
});
