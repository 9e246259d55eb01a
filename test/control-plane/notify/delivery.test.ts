import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { SMTPServer } from 'smtp-server';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startNotify } from '../../../control-plane/notify/desk.ts';
import { openAlert, resolveAlert } from '../../../control-plane/store/alerts.ts';
import { ControlApp } from '../../support/control-app.ts';

interface Got {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let app: ControlApp;
let receiver: Server;
let url: string;
let got: Got[];
let status: number;

const MANIFEST = `sha256:${'a'.repeat(64)}`;

beforeEach(async () => {
  app = await ControlApp.open(['127.0.0.0/8']);
  got = [];
  status = 204;
  receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end();
    got.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    receiver.emit('got');
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook-path-secret`;
});

afterEach(async () => {
  await app.close();
  receiver.close();
});

const add = async (name: string, json: unknown) =>
  (await app.ask('PUT', `/api/v1/channels/${name}`, { json })).json();

const open = () =>
  app.store.write((tx) => {
    const detail = { rows: 500, streams: [{ stream: 'feature:<!channel>', psiDebiased: 0.3 }] };
    const alert = { deployment: 'd', manifest: MANIFEST, kind: 'input-drift' as const };
    return openAlert(tx, { ...alert, detail, openedAt: Date.now() });
  });

const resolve = () =>
  app.store.write((tx) => resolveAlert(tx, 'd', MANIFEST, 'input-drift', Date.now()));

async function arrived(count: number): Promise<void> {
  while (got.length < count) await once(receiver, 'got', { signal: AbortSignal.timeout(5000) });
}

/** Waits for commits until the deliveries satisfy `want`. */
async function settled(want: (states: readonly string[]) => boolean) {
  const late = AbortSignal.timeout(5000);
  for (;;) {
    const since = app.store.commits;
    const page = await (await app.ask('GET', '/api/v1/deliveries')).json();
    const states = page.items.map((one: { state: string }) => one.state);
    if (want(states)) return page.items;
    late.throwIfAborted();
    await app.store.nextCommit(since, 5000, late);
  }
}

test('a webhook is told of opening and resolution, in order, signed so that a receiver can verify', async () => {
  const { secret } = await add('ops', { kind: 'webhook', url });
  await open();
  await resolve();
  await arrived(2);
  expect(got.map(({ body }) => JSON.parse(body).type)).toEqual(['alert.opened', 'alert.resolved']);
  for (const { headers, body } of got) {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const mac = createHmac('sha256', key).update(signed).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${mac}`);
  }
  await settled((states) => states.every((state) => state === 'delivered'));
});

test('Slack gets text whose control characters are inert', async () => {
  await add('chat', { kind: 'slack', url });
  await open();
  await arrived(1);
  expect(got[0]?.body).toContain('&lt;!channel&gt;');
  expect(got[0]?.body).not.toContain('<!channel>');
});

test('e-mail goes through a real SMTP server', async () => {
  const mails: string[] = [];
  const smtp = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    onData(stream, _session, done) {
      let text = '';
      stream.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      stream.on('end', () => {
        mails.push(text);
        done();
      });
    },
  });
  const listening = smtp.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  await add('mail', {
    kind: 'email',
    host: '127.0.0.1',
    port,
    from: 'driftline@example.com',
    to: ['oncall@example.com'],
  });
  await open();
  await settled((states) => states[0] === 'delivered');
  expect(mails).toHaveLength(1);
  expect(mails[0]).toContain('Subject: input-drift of d: opened');
  await new Promise<void>((done) => smtp.close(() => done()));
});

test('a silenced alert is told to nobody, neither opening nor end', async () => {
  const id = await open();
  await app.ask('POST', `/api/v1/alerts/${id}/silence`, { json: { forMs: 60_000, reason: 'x' } });
  await add('ops', { kind: 'webhook', url });
  await resolve();
  const items = await settled((states) => states.length === 1);
  expect(items[0]).toMatchObject({ state: 'withheld', transition: 'resolved', attempts: 0 });
  expect(got).toEqual([]);
});

test('a redirect is not followed, the attempt is counted and the row waits; 410 ends it', async () => {
  await add('ops', { kind: 'webhook', url });
  status = 302;
  await open();
  const [row] = await settled((states) => states.length === 1 && got.length === 1);
  expect(got).toHaveLength(1);
  const [counted] = await settled(() => true);
  expect(counted.state).toBe('pending');
  expect(row.messageId).toBe(got[0]?.headers['webhook-id']);
  await app.ask('DELETE', '/api/v1/channels/ops');
  await add('ops2', { kind: 'webhook', url });
  status = 410;
  await resolve();
  const items = await settled((states) => states.includes('failed'));
  expect(items[0]).toMatchObject({ channel: 'ops2', attempts: 1, state: 'failed' });
});

test('what a stopped control plane left pending is sent by the next, under the same id', async () => {
  await add('ops', { kind: 'webhook', url });
  await app.notify.close();
  await open();
  const [row] = await settled((states) => states.length === 1);
  expect(row).toMatchObject({ state: 'pending', attempts: 0 });
  const next = await startNotify({
    store: app.store,
    dataDir: app.dir,
    log: pino({ level: 'silent' }),
    now: Date.now,
    allowNetworks: ['127.0.0.0/8'],
    publicUrl: () => 'http://driftline.test',
  });
  await arrived(1);
  await next.close();
  expect(got[0]?.headers['webhook-id']).toBe(row.messageId);
});

test('an address that is not allowed is refused before anything is sent', async () => {
  await add('lan', { kind: 'webhook', url: 'https://[::1]:1/' });
  const response = await app.ask('POST', '/api/v1/channels/lan/test');
  expect(await response.json()).toMatchObject({
    delivered: false,
    failure: expect.stringContaining('::1, which is not public'),
  });
});

test('secrets are answered once at most, and the key file is the owner’s', async () => {
  await add('ops', { kind: 'webhook', url });
  const texts = await Promise.all(
    ['/api/v1/channels', '/api/v1/audit', '/api/v1/deliveries'].map(async (path) =>
      (await app.ask('GET', path)).text(),
    ),
  );
  for (const text of texts) expect(text).not.toMatch(/whsec_|hook-path-secret/);
  expect((await stat(`${app.dir}/channel-key`)).mode & 0o777).toBe(0o600);
});

test('the evidence link shows its alert, escaped, and only while it is whole', async () => {
  const id = await open();
  const shown = await (await app.ask('GET', `/api/v1/alerts/${id}`)).json();
  const path = shown.link.replace('http://driftline.test', '');
  const page = await app.ask('GET', path, { as: null });
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('feature:&lt;!channel&gt;');
  expect((await app.ask('GET', `${path}x`, { as: null })).status).toBe(403);
});
