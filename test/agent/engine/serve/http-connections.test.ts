import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  acceptHttp,
  closeHttpServer,
  createHttpServer,
} from '../../../../agent/engine/serve/http-server.ts';
import { InferHandler } from '../../../../agent/engine/serve/infer-handler.ts';
import type { InferCall } from '../../../../agent/engine/serve/inference.ts';
import { createOipApp } from '../../../../agent/engine/serve/oip-app.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const TIMEOUTS = { headersMs: 200, requestMs: 400, keepAliveMs: 60_000, lookMs: 50 };
const LIVE = '/v2/health/live';
const HEAD = 'POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n';

const READY = {
  state: () => ({ generation: 1, deployments: new Map() }),
  ready: () => true,
  version: '0.0.0',
  host: null,
  snapshot: () => {
    throw new Error('nobody asks');
  },
};

/** The transport alone, fed as the pool feeds it: what reaches the engine is held here until a test answers it. */
let calls: InferCall[] = [];
let arrived: () => void = () => undefined;
let http: Server;
let door: ReturnType<typeof createServer>;
let taken: Socket;

beforeEach(async () => {
  calls = [];
  const held = {
    infer(call: InferCall) {
      calls.push(call);
      arrived();
    },
  };
  const infer = new InferHandler(held, MAX_BODY_BYTES);
  http = createHttpServer(infer, createOipApp(READY), TIMEOUTS);
  door = createServer({ allowHalfOpen: true }, (socket) => {
    taken = socket;
    acceptHttp(http, socket);
  });
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
});

afterEach(async () => {
  http.closeAllConnections();
  door.close();
  await closeHttpServer(http, 100);
});

async function open(): Promise<Socket> {
  const { port } = door.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

async function called(count: number): Promise<void> {
  while (calls.length < count) {
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
}

/** Sends bytes and gives all that comes back until the server ends the connection. */
async function exchange(bytes: string): Promise<string> {
  const socket = await open();
  socket.write(bytes);
  const said = await text(socket);
  socket.destroy();
  return said;
}

describe('a connection that another process accepted', () => {
  it('is closed when its headers do not come, though its client stays', async () => {
    const socket = await open();
    const closed = once(taken, 'close');
    socket.write(`GET ${LIVE} HTTP/1.1\r\nHost`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 408 .*"code":"bad_request"/s);
    await closed;
    socket.destroy();
  });

  it('is closed when its body does not come', async () => {
    expect(await exchange(`${HEAD}Content-Length: 10\r\n\r\n{`)).toMatch(/^HTTP\/1.1 408/);
    expect(calls).toEqual([]);
  });

  it('is known to be idle', async () => {
    const socket = await open();
    socket.write(`GET ${LIVE} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'data');
    const closed = once(taken, 'close');
    http.closeIdleConnections();
    await closed;
    socket.destroy();
  });

  it('takes its requests along when the client closes its half: that is how most clients leave', async () => {
    const socket = await open();
    const closed = once(taken, 'close');
    socket.end(`${HEAD}Content-Length: 2\r\n\r\n{}`);
    await Promise.all([called(1), closed]);
    expect(calls[0].gone()).toBe(true);
  });

  it('takes every request on it along when its client leaves', async () => {
    const socket = await open();
    const closed = once(taken, 'close');
    socket.write(`${HEAD}Content-Length: 2\r\n\r\n{}`.repeat(3));
    await called(3);
    expect(calls.map((call) => call.gone())).toEqual([false, false, false]);
    socket.destroy();
    await closed;
    expect(calls.map((call) => call.gone())).toEqual([true, true, true]);
  });
});

describe('a request that is refused before its body is read', () => {
  const MIB = Buffer.alloc(1024 * 1024, 0x61);
  const COUNT = 100;

  it.each<[string, string, number]>([
    ['too large', HEAD, 413],
    ['in an unknown encoding', `${HEAD}Content-Encoding: br\r\n`, 415],
    ['with a bad header length', `${HEAD}Inference-Header-Content-Length: -1\r\n`, 400],
    ['too large for the repository', 'POST /v2/repository/index HTTP/1.1\r\nHost: x\r\n', 413],
  ])('%s: says so to a client that reads only when it has sent all', async (_, head, status) => {
    for (const chunked of [false, true]) {
      const socket = await open();
      socket.pause();
      const size = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${COUNT * MIB.length}`;
      socket.write(`${head}${size}\r\n\r\n`);
      for (let k = 0; k < COUNT; k += 1) {
        if (chunked) socket.write(`${MIB.length.toString(16)}\r\n`);
        const written = new Promise<void>((resolve, reject) =>
          socket.write(MIB, (error) => (error ? reject(error) : resolve())),
        );
        if (chunked) socket.write('\r\n');
        await written;
      }
      if (chunked) socket.write('0\r\n\r\n');
      const said = await text(socket);
      expect(said).toMatch(new RegExp(`^HTTP/1.1 ${status} .*"error":`, 's'));
      socket.destroy();
    }
    expect(calls).toEqual([]);
  });

  it('says so at once to a client that waits for it', async () => {
    const socket = await open();
    socket.write(`${HEAD}Content-Length: ${MAX_BODY_BYTES + 1}\r\n\r\n`);
    const [said] = await once(socket, 'data');
    expect(String(said)).toMatch(/^HTTP\/1.1 413 .*Connection: close.*"code":"body_too_large"}$/s);
    socket.destroy();
  });
});

describe('a request target', () => {
  it.each([
    ['of HTTP/1.0 without a Host', `GET ${LIVE} HTTP/1.0\r\n\r\n`, '200'],
    ['that is absolute', `GET http://else${LIVE} HTTP/1.1\r\nHost: x\r\nConnection: close`, '200'],
    ['that is the server', 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close', '204'],
  ])('%s is taken', async (_, request, status) => {
    expect(await exchange(`${request}\r\n\r\n`)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it.each([['GET * HTTP/1.1\r\nHost: x'], [`GET ${LIVE} HTTP/1.1\r\nHost: a b`]])(
    'or a Host that makes no URL is refused in the shape of errors: %j',
    async (request) => {
      const said = await exchange(`${request}\r\nConnection: close\r\n\r\n`);
      expect(said).toMatch(/^HTTP\/1.1 400 .*"code":"bad_request"/s);
    },
  );

  it.each([
    [`GET ${LIVE} HTTP/1.1\r\n`, 400, 'bad_request'],
    [`${HEAD}Content-Length: 2\r\nExpect: a miracle\r\n`, 417, 'expectation_failed'],
  ])(
    'without a Host, or that expects what nobody offers, is too: %j',
    async (head, status, code) => {
      const said = await exchange(`${head}\r\n`);
      expect(said).toMatch(
        new RegExp(`^HTTP/1.1 ${status} .*{"error":".*","code":"${code}"}$`, 's'),
      );
      expect(said).toMatch(/Connection: close/);
      expect(calls).toEqual([]);
    },
  );

  it('that is absolute names a model, too', async () => {
    const socket = await open();
    const absolute = HEAD.replace('/v2', 'http://else:80/v2').replace('models/m', 'models/a%20b');
    socket.write(`${absolute}Content-Length: 2\r\n\r\n{}`);
    await called(1);
    expect(calls[0].deployment).toBe('a b');
    socket.destroy();
  });
});
