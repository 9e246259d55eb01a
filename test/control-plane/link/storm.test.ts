import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  MAX_BUFFERED_BYTES,
  Session,
  type SessionDeps,
} from '../../../control-plane/link/session.ts';
import type { DesiredMessage } from '../../../protocol/desired.ts';
import { RETRY_AFTER_MS_HEADER } from '../../../protocol/limits.ts';
import { generateSigningKey } from '../../../protocol/signing.ts';
import { decodeDown, encodeDown } from '../../../protocol/wire.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

describe('LINK-8: a fleet that comes back at once', () => {
  const RATE = { perSecond: 120, burst: 20 };
  const HOSTS = 150;
  let control: ControlFixture;
  beforeEach(async () => {
    control = await ControlFixture.start({ admissionRate: RATE });
  });
  afterEach(() => control.stop());

  /** When it was let in, and how often it was sent away before. */
  async function comeUntilLetIn(): Promise<{
    atMs: number;
    turnedAway: number;
    socket: WebSocket;
  }> {
    for (let turnedAway = 0; ; turnedAway += 1) {
      const socket = new WebSocket(control.url, { perMessageDeflate: false });
      socket.on('error', () => undefined);
      const waitMs = await new Promise<number>((resolve) => {
        socket.on('open', () => resolve(0));
        socket.on('unexpected-response', (_, response) => {
          expect(response.statusCode).toBe(503);
          const ms = Number(response.headers[RETRY_AFTER_MS_HEADER]);
          expect(Number(response.headers['retry-after'])).toBe(Math.ceil(ms / 1000));
          socket.terminate();
          resolve(ms);
        });
      });
      if (waitMs === 0) return { atMs: performance.now(), turnedAway, socket };
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  it('is let in at the rate, each host at most a few times later; a linked host notices nothing', async () => {
    const linked = await control.agent();
    const begun = performance.now();
    const coming = Array.from({ length: HOSTS }, comeUntilLetIn);
    const place = { deployment: 'loans', manifest: control.manifests[0], arm: 'stable' as const };
    const windowStartMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
    linked.window(
      { ...place, windowStartMs, windowMs: WINDOW_MS },
      syntheticWindow(seeded(1), { rows: 10 }),
    );
    await linked.acked();
    const came = await Promise.all(coming);
    const tookMs = performance.now() - begun;
    // The linked host took one place of the burst.
    expect(tookMs).toBeGreaterThan(((HOSTS - RATE.burst - 1) * 1000) / RATE.perSecond - 50);
    expect(came.filter(({ turnedAway }) => turnedAway > 0).length).toBeGreaterThan(10);
    expect(Math.max(...came.map(({ turnedAway }) => turnedAway))).toBeLessThan(20);
    expect(linked.closed).toBeNull();
    for (const { socket } of came) socket.terminate();
  });
});

describe('a host that does not read', () => {
  let server: WebSocketServer;
  let sockets: { session: Session; client: WebSocket; closed: (string | null)[] };
  beforeEach(async () => {
    const http = createServer().listen(0, '127.0.0.1');
    await once(http, 'listening');
    server = new WebSocketServer({ server: http, perMessageDeflate: false });
    const { key } = await generateSigningKey();
    const closed: (string | null)[] = [];
    const never = async () => undefined;
    const deps: SessionDeps = {
      ...{ key, roots: [], helloTimeoutMs: 60_000, pingIntervalMs: 60_000 },
      ...{ onJoined: never, onHeld: never, onReport: never, onTelemetry: never, onEvent: never },
      ...{
        onResult: () => undefined,
        onLedger: () => undefined,
        onProgress: () => undefined,
        onFailure: () => undefined,
      },
      admit: async () => ({ kind: 'denied', code: 'bad-proof', detail: 'nobody is admitted here' }),
      onClosed: (_, code) => closed.push(code),
    };
    const opened = new Promise<Session>((resolve) => {
      server.on('connection', (socket) => resolve(new Session(socket, deps)));
    });
    const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
    await once(client, 'open');
    sockets = { session: await opened, client, closed };
  });
  afterEach(() => {
    for (const client of server.clients) client.terminate();
    const { client } = sockets;
    client.terminate();
    return new Promise<void>((resolve) => server.options.server?.close(() => resolve()));
  });

  const documentOf = (generation: number): DesiredMessage => ({
    kind: 'desired',
    envelope: {
      payload: new Uint8Array(900_000).fill(generation % 256),
      keyId: '0'.repeat(16),
      signature: new Uint8Array(64),
    },
    releases: [],
  });
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

  it('LINK-9: gets the latest document and not those that it replaced', async () => {
    const { session, client } = sockets;
    const got: number[] = [];
    client.on('message', (data) => {
      const message = decodeDown(new Uint8Array(data as Buffer));
      if (message.kind === 'desired') got.push(message.envelope.payload[0]);
    });
    (Reflect.get(client, '_socket') as Socket).pause();
    let made = 0;
    for (let generation = 1; generation <= 100; generation += 1) {
      session.desire(generation, () => {
        made += 1;
        return encodeDown(documentOf(generation));
      });
      await turn();
    }
    // One that was read before it and comes late is not sent any more.
    session.desire(99, () => encodeDown(documentOf(99)));
    // What the kernel takes, one on its way, and none of those that waited.
    expect(made).toBeLessThan(20);
    (Reflect.get(client, '_socket') as Socket).resume();
    while (got[got.length - 1] !== 100) await turn();
    expect(got.length).toBeLessThan(20);
    expect(got).toEqual([...got].sort((a, b) => a - b));
  });

  it('REVOKE-1: is told nothing behind its revocation, whatever was being made for it', async () => {
    const { session, client } = sockets;
    const got: string[] = [];
    client.on('message', (data) => got.push(decodeDown(new Uint8Array(data as Buffer)).kind));
    session.desire(1, () => encodeDown(documentOf(1)));
    session.desire(2, () => encodeDown(documentOf(2)));
    session.revoke('stolen');
    session.desire(3, () => encodeDown(documentOf(3)));
    session.send({ kind: 'ack', boot: '0'.repeat(16), sequence: 1 });
    await once(client, 'close');
    expect(got.slice(got.indexOf('desired'))).toEqual(['desired', 'refused']);
  });

  it('LINK-10: is cut off when too much waits for it', async () => {
    const { session, client, closed } = sockets;
    (Reflect.get(client, '_socket') as Socket).pause();
    const [serverEnd] = server.clients;
    let most = 0;
    for (let at = 0; at < 40_000 && closed.length === 0; at += 1) {
      session.send({ kind: 'ack', boot: '0'.repeat(16), sequence: at + 1 });
      session.send({
        ...documentOf(1),
        envelope: { ...documentOf(1).envelope, payload: new Uint8Array(10_000) },
      });
      most = Math.max(most, serverEnd.bufferedAmount);
    }
    expect(closed).toEqual(['too-slow']);
    expect(most).toBeLessThan(MAX_BUFFERED_BYTES + 20_000);
  });
});
