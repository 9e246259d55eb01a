import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../../agent/link/identity.ts';
import { loadIdentity } from '../../../agent/link/identity-file.ts';
import { Link, type LinkOptions } from '../../../agent/link/link.ts';
import { openSocket } from '../../../agent/link/node-socket.ts';
import { Outbox } from '../../../agent/link/outbox.ts';
import { loadTrust } from '../../../agent/link/root-file.ts';
import type { TrustStore } from '../../../agent/link/trust-store.ts';
import { helloTranscript } from '../../../protocol/hello.ts';
import { RETRY_AFTER_MS_HEADER } from '../../../protocol/limits.ts';
import { generateSigningKey, verifyBytes } from '../../../protocol/signing.ts';
import { rootFingerprint } from '../../../protocol/trust/root.ts';
import { encodeUp } from '../../../protocol/wire.ts';
import { telemetry } from '../../protocol/messages.ts';
import { newKeys, signRoot } from '../../support/roots.ts';
import { ControlEnd, WELCOME } from './control-end.ts';

const BOOT = '00112233aabbccdd';
const REVOKED = {
  ...{ kind: 'refused' as const, code: 'revoked' as const, detail: 'by hand' },
  retryAfterMs: null,
};

let folder: string;
let control: ControlEnd;
let identity: Identity;
let outbox: Outbox;
let trust: TrustStore;
let link: Link;
let logged: { message: string; detail: string }[];
let desired: number;
let sent: [string, number][];
let commanded: LinkOptions['onCommand'];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'link-'));
  control = await ControlEnd.listen();
  identity = await loadIdentity(folder);
  trust = await loadTrust(folder);
  outbox = await Outbox.open({ folder: join(folder, 'outbox'), boot: BOOT });
  logged = [];
  desired = 0;
  sent = [];
  commanded = async () => ({ ok: false, code: 'failed', message: '' });
});
afterEach(async () => {
  link.stop();
  await control.close();
  await outbox.close();
  await rm(folder, { recursive: true });
});

async function joinToken(root = control.roots[0]): Promise<string> {
  const fingerprint = (await rootFingerprint(root)).slice(0, 32);
  return `dlj_${'0'.repeat(8)}_${'1'.repeat(64)}_${fingerprint}`;
}

function start(token: string | null, controlUrl = control.url): void {
  const options: LinkOptions = {
    controlUrl,
    identity,
    trust,
    outbox,
    join: token === null ? null : { token, name: 'edge-1', labels: { site: 'lab' } },
    boot: BOOT,
    connect: (url) => openSocket(url, null),
    capabilities: {
      runtime: 'node',
      runtimeVersion: 'v20',
      platform: 'linux-x64',
      cores: 2,
      engines: 1,
      providers: ['cpu'],
    },
    serving: () => 'http://127.0.0.1:8000',
    generation: () => 41,
    onCommand: (message) => commanded(message),
    onDesired: () => {
      desired += 1;
    },
    onToken: () => undefined,
    onOnline: () => undefined,
    onSent: (kind, bytes) => sent.push([kind, bytes]),
    log: (_, message, detail) => logged.push({ message, detail: JSON.stringify(detail) }),
  };
  link = new Link(options);
  link.start();
}

/** Through challenge and hello to a welcome; resolves when the agent has taken it. */
async function online(serverTimeMs = 0): Promise<void> {
  await control.until(() => control.connections > 0);
  control.challenge();
  await control.heardOf('hello', control.connections);
  await control.welcome(control.key, serverTimeMs);
}

const append = (windowStartMs: number) => {
  const { kind: _, boot: __, sequence: ___, ...window } = telemetry({ windowStartMs });
  return outbox.append(window);
};

describe('a joining host', () => {
  it('HELLO-1: says nothing before the challenge, then proves its key over this nonce', async () => {
    start(await joinToken());
    await control.until(() => control.connections === 1);
    expect(control.heard).toEqual([]);
    control.challenge();
    const [hello] = await control.heardOf('hello');
    expect(hello.publicKey).toHaveLength(32);
    const transcript = helloTranscript(
      new Uint8Array(32).fill(1),
      control.key.publicKey,
      hello.publicKey,
    );
    expect(await verifyBytes(hello.publicKey, transcript, hello.proof)).toBe(true);
  });

  it('HELLO-5: gives its token, name and labels, where it serves and what it holds', async () => {
    const token = await joinToken();
    start(token);
    await control.until(() => control.connections === 1);
    control.challenge();
    const [hello] = await control.heardOf('hello');
    expect(hello).toMatchObject({
      agent: null,
      join: { token, name: 'edge-1', labels: { site: 'lab' } },
      boot: BOOT,
      generation: 41,
      serving: 'http://127.0.0.1:8000',
    });
  });

  it('HELLO-5: comes back with its id and key alone', async () => {
    start(await joinToken());
    await online();
    await append(1);
    link.flush();
    await control.until(() => identity.agent !== null);
    control.hangUp();
    await control.until(() => control.connections === 2);
    control.challenge();
    const [, second] = await control.heardOf('hello', 2);
    expect(second).toMatchObject({ agent: `agt_${'c'.repeat(24)}`, join: null });
    const stored = await loadIdentity(folder);
    expect(stored.agent).toBe(second.agent);
    expect(Buffer.from(stored.controlKey ?? [])).toEqual(Buffer.from(control.key.publicKey));
  });

  it('HELLO-4: answers no control plane but the one its token names', async () => {
    start(await joinToken(await signRoot(await newKeys())));
    await control.until(() => control.connections === 1);
    control.challenge();
    await control.until(() => control.closed === 1);
    expect(control.heard).toEqual([]);
    expect(JSON.stringify(logged)).toContain('no root that the join token names');
  });
});

describe('a host that has joined', () => {
  beforeEach(() => identity.admitted(`agt_${'c'.repeat(24)}`, control.key.publicKey));

  it('HELLO-3: answers no control plane but the one it has pinned', async () => {
    start(null);
    await control.until(() => control.connections === 1);
    const { key } = await generateSigningKey();
    control.challenge(key.publicKey);
    await control.until(() => control.closed === 1);
    expect(control.heard).toEqual([]);
    expect(JSON.stringify(logged)).toContain('not the one pinned at join');
  });

  it('HELLO-6: drops a link on which something is said before the welcome', async () => {
    start(null);
    await control.until(() => control.connections === 1);
    const envelope = {
      payload: new Uint8Array(1),
      keyId: '0'.repeat(16),
      signature: new Uint8Array(64),
    };
    control.say({ kind: 'desired', envelope });
    await control.until(() => control.closed === 1);
    expect(desired).toBe(0);
    await control.until(() => control.connections === 2);
    control.say(WELCOME);
    await control.until(() => control.closed === 2);
    expect(control.heard).toEqual([]);
  });

  it('LINK-3: does not come back when told not to, and says why', async () => {
    start(null);
    await control.until(() => control.connections === 1);
    control.challenge();
    await control.heardOf('hello');
    await control.answer(REVOKED);
    control.hangUp();
    await control.until(() => control.closed === 1);
    // The first wait of a link that does come back is below 500 ms.
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(control.connections).toBe(1);
    expect(logged).toContainEqual({
      message: 'refused by the control plane',
      detail: '{"code":"revoked","detail":"by hand","proven":true}',
    });
  });

  it('LINK-3: waits as long as it is told to before it comes back', async () => {
    start(null);
    await control.until(() => control.connections === 1);
    control.say({ kind: 'refused', code: 'shutting-down', detail: '', retryAfterMs: 600 });
    const refusedAt = performance.now();
    control.hangUp();
    await control.until(() => control.connections === 2);
    expect(performance.now() - refusedAt).toBeGreaterThan(590);
  });

  it('LINK-8: comes back as late as a full control plane says', async () => {
    const asked: number[] = [];
    const front = createServer((socket) => {
      asked.push(performance.now());
      if (asked.length > 1) socket.pipe(connect(Number(new URL(control.url).port))).pipe(socket);
      else
        socket.end(
          `HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n${RETRY_AFTER_MS_HEADER}: 400\r\nContent-Length: 0\r\n\r\n`,
        );
    }).listen(0, '127.0.0.1');
    await once(front, 'listening');
    start(await joinToken(), `http://127.0.0.1:${(front.address() as AddressInfo).port}`);
    await control.until(() => control.connections === 1);
    expect(asked[1] - asked[0]).toBeGreaterThanOrEqual(399);
    const detail = '{"status":503,"waitMs":400}';
    expect(logged).toContainEqual({ message: 'the control plane takes no link now', detail });
    link.stop();
    front.close();
  });

  it('TELEM-6: sends what waits in the outbox, and again on the next link what was not acknowledged', async () => {
    for (let at = 1; at <= 3; at += 1) await append(at);
    start(null);
    await online();
    const first = await control.heardOf('telemetry', 3);
    expect(first.map((message) => message.sequence)).toEqual([1, 2, 3]);
    control.say({ kind: 'ack', boot: BOOT, sequence: 2 });
    await append(4);
    link.flush();
    await control.heardOf('telemetry', 4);
    control.hangUp();
    await control.until(() => control.connections === 2);
    await online();
    const all = await control.heardOf('telemetry', 6);
    expect(all.slice(4).map((message) => message.sequence)).toEqual([3, 4]);
    expect(outbox.pending.map((item) => item.sequence)).toEqual([3, 4]);
  });

  it('LINK-4: has at most 64 windows on the wire that are not acknowledged', async () => {
    for (let at = 1; at <= 70; at += 1) await append(at);
    start(null);
    await online();
    await control.heardOf('telemetry', 64);
    link.send({ kind: 'event', at: 0, name: 'fell-back', detail: 'a marker behind the windows' });
    await control.heardOf('event');
    expect(control.heard.filter((message) => message.kind === 'telemetry')).toHaveLength(64);
    control.say({ kind: 'ack', boot: BOOT, sequence: 64 });
    const all = await control.heardOf('telemetry', 70);
    expect(all.at(-1)?.sequence).toBe(70);
  });
});

describe('what a link measures', () => {
  it('CLOCK-1: how far the clock of the host is ahead, within half of what the exchange took', async () => {
    start(await joinToken());
    const before = Date.now();
    await append(1);
    await online(Date.now() - 90_000);
    await control.heardOf('telemetry');
    expect(Math.abs((link.clockAheadMs ?? 0) - 90_000)).toBeLessThanOrEqual(
      Date.now() - before + 1,
    );
  });

  it('EGRESS-1: every byte that it sends, by kind', async () => {
    start(await joinToken());
    await online();
    await append(1);
    link.flush();
    const [{ windowStartMs }] = await control.heardOf('telemetry');
    expect(windowStartMs).toBe(1);
    link.send({ kind: 'event', at: 1, name: 'outbox-full', detail: '' });
    await control.heardOf('event');
    const kinds = sent.map(([kind]) => kind);
    expect(kinds).toEqual(['link', 'telemetry', 'event']);
    expect(sent.map(([, bytes]) => bytes)).toEqual(
      control.heard.map((message) => encodeUp(message).length),
    );
  });
});
