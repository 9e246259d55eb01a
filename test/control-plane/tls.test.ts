import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { globalAgent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { loadIdentity } from '../../agent/link/identity-file.ts';
import { Link } from '../../agent/link/link.ts';
import { openSocket } from '../../agent/link/node-socket.ts';
import { Outbox } from '../../agent/link/outbox.ts';
import { loadTrust } from '../../agent/link/root-file.ts';
import { realDisk } from '../../agent/store/disk.ts';
import { fetchWhole } from '../../agent/store/fetch.ts';
import { Client } from '../../control-plane/cli/client.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/main.ts';
import { Authority, type CertificateFiles } from '../support/certificates.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

let folder: string;
let authority: Authority;
let other: Authority;
let files: CertificateFiles;
let control: ControlPlane;
let stop: (() => Promise<void>) | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'driftline-tls-'));
  authority = await Authority.create(folder, 'ours');
  other = await Authority.create(folder, 'theirs');
  files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  await put(await authority.certificate());
  const config = { dataDir: join(folder, 'control'), host: '127.0.0.1', port: 0, hostNames: [] };
  control = await startControlPlane({ ...config, tls: files }, pino({ level: 'silent' }));
});
afterEach(async () => {
  await stop?.();
  stop = null;
});
afterAll(async () => {
  await control.close();
  await rm(folder, { recursive: true });
});

async function put(made: CertificateFiles): Promise<void> {
  await copyFile(made.cert, files.cert);
  await copyFile(made.key, files.key);
}

const client = (caFile: string) =>
  new Client({ url: control.url, token: control.adminToken, caFile });

/** An agent that joins over TLS; resolves with its first word: a download token, or why there is no link. */
async function agent(ca: string): Promise<string> {
  const { token } = await client(authority.ca).post<{ token: string }>('/api/v1/join-tokens');
  const home = await mkdtemp(join(folder, 'agent-'));
  const outbox = await Outbox.open({ folder: join(home, 'outbox'), boot: '0'.repeat(16) });
  const identity = await loadIdentity(home);
  const trust = await loadTrust(home);
  const pem = await readFile(ca, 'utf8');
  return new Promise((resolve) => {
    const link = new Link({
      ...{ controlUrl: control.url, identity, trust, outbox, boot: '0'.repeat(16) },
      connect: (url) => openSocket(url, pem),
      join: { token, name: 'edge', labels: {} },
      capabilities: {
        ...{ runtime: 'node', runtimeVersion: 'v20', platform: 'linux', cores: 1, engines: 1 },
        providers: [],
      },
      onSent: () => undefined,
      serving: () => null,
      generation: () => 0,
      onDesired: () => undefined,
      onCommand: async () => ({ ok: false, code: 'failed', message: '' }),
      onToken: resolve,
      onOnline: () => undefined,
      log: (level, _, detail) => {
        if (level === 'warn') resolve(JSON.stringify(detail));
      },
    });
    stop = async () => {
      link.stop();
      await outbox.close();
    };
    link.start();
  });
}

it('LINK-6: an agent joins over TLS with the authority that it was given, and downloads with it', async () => {
  const token = await agent(authority.ca);
  expect(token).toMatch(/^dld_/);
  const before = globalAgent.options.ca;
  try {
    const fetched = () =>
      fetchWhole({
        disk: realDisk,
        source: { url: control.url, token },
        digest: DIGEST,
        sizeBytes: 1,
        maxBytes: 1,
        partPath: join(folder, 'part'),
        signal: new AbortController().signal,
      });
    await expect(fetched()).rejects.toThrow(/self-signed|unable to verify|unable to get/);
    globalAgent.options.ca = await readFile(authority.ca);
    await expect(fetched()).rejects.toThrow('answered 403');
  } finally {
    globalAgent.options.ca = before;
  }
});

it('LINK-6: it does not link where another authority vouches, and says nothing there', async () => {
  expect(await agent(other.ca)).toMatch(/self-signed|unable to verify|unable to get/);
});

it('a renewed certificate is served after a reload, and a broken one is not', async () => {
  const before = await shown();
  await put(await authority.certificate());
  expect(await shown()).toBe(before);
  control.reloadTls();
  const renewed = await shown();
  expect(renewed).not.toBe(before);
  await writeFile(files.key, 'no key');
  expect(() => control.reloadTls()).toThrow('TLS needs a PEM certificate and its key');
  expect(await shown()).toBe(renewed);
  await put(await authority.certificate());
  await copyFile((await authority.certificate()).key, files.key);
  expect(() => control.reloadTls()).toThrow('TLS needs');
});

async function shown(): Promise<string> {
  const ca = await readFile(authority.ca);
  const socket: TLSSocket = connect({ port: control.port, host: '127.0.0.1', ca });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
