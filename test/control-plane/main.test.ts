import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { parseControlConfig } from '../../control-plane/config.ts';
import { startControlPlane } from '../../control-plane/main.ts';

const log = pino({ level: 'silent' });
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-main-'));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

const start = () =>
  startControlPlane({ dataDir: dir, host: '127.0.0.1', port: 0, hostNames: [] }, log);

test('the first start makes the admin token, the second finds it', async () => {
  const first = await start();
  expect(first.adminToken).toMatch(/^dlt_/);
  await first.close();
  const second = await start();
  expect(second.adminToken).toBeNull();
  const headers = { authorization: `Bearer ${first.adminToken}` };
  const response = await fetch(`${second.url}/api/v1/agents`, { headers });
  expect(await response.json()).toEqual({ items: [], next: null });
  await second.close();
});

test('a first start that finds its port taken does not use up the admin token', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'driftline-port-'));
  const taken = await start();
  const config = { dataDir: fresh, host: '127.0.0.1', hostNames: [] };
  await expect(startControlPlane({ ...config, port: taken.port }, log)).rejects.toThrow();
  const control = await startControlPlane({ ...config, port: 0 }, log);
  expect(control.adminToken).toMatch(/^dlt_/);
  await control.close();
  await taken.close();
  await rm(fresh, { recursive: true });
});

test('a stop takes less than two seconds with an event stream and a link open', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'driftline-stop-'));
  const control = await startControlPlane(
    { dataDir: fresh, host: '127.0.0.1', port: 0, hostNames: [] },
    log,
  );
  const headers = { authorization: `Bearer ${control.adminToken}` };
  const stream = await fetch(`${control.url}/api/v1/events`, { headers });
  expect(stream.status).toBe(200);
  const ended = stream.text();
  const socket = new WebSocket(`${control.url.replace('http', 'ws')}/link`);
  await once(socket, 'message');
  const began = performance.now();
  const gone = once(socket, 'close');
  await control.close();
  await Promise.all([gone, ended]);
  expect(performance.now() - began).toBeLessThan(2000);
  await expect(fetch(`${control.url}/healthz`)).rejects.toThrow();
  await rm(fresh, { recursive: true });
});

test('an upgrade from a strange host, to a strange path or of no URL harms nothing', async () => {
  const control = await start();
  const base = control.url.replace('http', 'ws');
  const strange = new WebSocket(`${base}/link`, { headers: { host: 'evil.example' } });
  const [refused] = await once(strange, 'error');
  expect(String(refused)).toContain('421');
  for (const path of ['/elsewhere', '//']) {
    await once(new WebSocket(`${base}/x`, { path } as object), 'error');
  }
  expect((await fetch(`${control.url}/readyz`)).status).toBe(200);
  await control.close();
});

test('the command line', () => {
  expect(parseControlConfig(['--data', '/d', '--port', '0', '--allow-host', 'a.example'])).toEqual({
    dataDir: '/d',
    keepWindowsMs: 14 * 86_400_000,
    maxDownloads: 64,
    allowNetworks: [],
    host: '127.0.0.1',
    port: 0,
    hostNames: ['a.example'],
    printToken: false,
    admission: { requireApproval: false, minProtocol: 1 },
    admissionRate: { perSecond: 400, burst: 400 },
    behindProxy: false,
  });
  const tls = ['--tls-cert', '/c.pem', '--tls-key', '/k.pem'];
  expect(
    parseControlConfig([...tls, '--require-approval', '--min-agent-protocol', '3']),
  ).toMatchObject({
    tls: { cert: '/c.pem', key: '/k.pem' },
    admission: { requireApproval: true, minProtocol: 3 },
  });
  expect(parseControlConfig(['--behind-proxy']).behindProxy).toBe(true);
  expect(() => parseControlConfig(tls.slice(0, 2))).toThrow('--tls-cert needs --tls-key');
  expect(() => parseControlConfig(['--min-agent-protocol', '5'])).toThrow('min-agent-protocol');
  expect(() => parseControlConfig(['--links-per-second', '0'])).toThrow('links-per-second');
  expect(() => parseControlConfig(['--port', '65536'])).toThrow('port');
  expect(() => parseControlConfig(['--nonsense'])).toThrow('nonsense');
});
