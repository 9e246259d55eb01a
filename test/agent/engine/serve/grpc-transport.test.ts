import { once } from 'node:events';
import type { ClientHttp2Session, Http2Server } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  closeGrpcServer,
  createGrpcServer,
} from '../../../../agent/engine/serve/grpc/grpc-server.ts';
import type { InferCall } from '../../../../agent/engine/serve/inference.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import type { Manifest } from '../../../../protocol/manifest.ts';
import { begin, callWith, framed, openSession, replyOf } from '../../../support/grpc-call.ts';

const MAX_BODY_BYTES = 256 * 1024;

const MANIFEST: Manifest = {
  schema: 1,
  model: 'm',
  task: 'other',
  files: [],
  inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'UINT8', shape: [-1] }],
  features: [],
  groups: [],
  prediction: null,
};
/** `{model_name: "m"}`. */
const MESSAGE = Buffer.from([0x0a, 1, 0x6d]);
/** The same, with an input x of no elements. */
const WITH_INPUT = Buffer.concat([
  MESSAGE,
  Buffer.from([0x2a, 13, 0x0a, 1, 0x78, 0x12, 5, ...Buffer.from('UINT8'), 0x1a, 1, 0]),
]);

const READY = {
  state: () => ({ generation: 1, deployments: new Map() }),
  ready: () => true,
  version: '0.0.0',
  host: null,
  snapshot: () => {
    throw new Error('nobody asks');
  },
};

/** The transport alone: what reaches the engine is held here, and answered by each test as it likes. */
let calls: InferCall[] = [];
let arrived: (call: InferCall) => void = () => undefined;
let server: Http2Server;
let session: ClientHttp2Session;
const held = {
  infer(call: InferCall): void {
    calls.push(call);
    arrived(call);
  },
};
const nextCall = () =>
  new Promise<InferCall>((resolve) => {
    arrived = resolve;
  });

beforeEach(async () => {
  calls = [];
  server = createGrpcServer(held, READY, { maxBodyBytes: MAX_BODY_BYTES });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  session = await openSession(`127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  session.destroy();
  await closeGrpcServer(server, 1000);
});

describe('the gRPC transport', () => {
  it.each<[string, Buffer, Record<string, string>, number, RegExp]>([
    ['no message', Buffer.alloc(0), {}, 3, /without a message/],
    ['a prefix cut off', Buffer.alloc(3), {}, 3, /cut off/],
    ['a message cut off', framed(MESSAGE, 0, 9), {}, 3, /cut off/],
    ['a flag that is none', framed(MESSAGE, 2), {}, 3, /byte 2/],
    ['a message over the bound', framed(MESSAGE, 0, MAX_BODY_BYTES + 1), {}, 8, /exceeds/],
    ['a length of 4 GiB', framed(MESSAGE, 0, 2 ** 32 - 1), {}, 8, /4294967295/],
    ['compressed without an encoding', framed(MESSAGE, 1), {}, 3, /grpc-encoding/],
    ['bytes that are no gzip', framed(MESSAGE, 1), { 'grpc-encoding': 'gzip' }, 3, /gzip/],
    ['an encoding unheard of', framed(MESSAGE, 1), { 'grpc-encoding': 'br' }, 12, /gzip, deflate/],
    ['a timeout that is none', framed(MESSAGE), { 'grpc-timeout': '1x' }, 3, /grpc-timeout/],
    ['bytes that are no message', framed(Buffer.from([7])), {}, 3, /ModelInferRequest/],
    ['an unknown method', framed(MESSAGE), { ':path': '/a/b' }, 12, /unknown method/],
  ])('refuses %s', async (_, body, headers, status, message) => {
    const reply = await callWith(session, body, headers);
    expect(reply).toMatchObject({ httpStatus: 200, status, rstCode: 0 });
    expect(reply.headers['grpc-message']).toMatch(message);
    expect(calls).toEqual([]);
  });

  it('refuses what is no gRPC call by HTTP’s own status', async () => {
    const other = await callWith(session, MESSAGE, { 'content-type': 'application/json' });
    expect(other).toMatchObject({ httpStatus: 415, status: null });
    expect(await callWith(session, MESSAGE, { ':method': 'PUT' })).toMatchObject({
      httpStatus: 405,
    });
  });

  it('refuses a second message that comes with the first', async () => {
    const stream = begin(session);
    const reply = replyOf(stream);
    stream.end(Buffer.concat([framed(MESSAGE), framed(MESSAGE)]));
    expect(await reply).toMatchObject({ status: 3 });
  });

  it('unpacks a gzip bomb no further than the bound', async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    const reply = await callWith(session, framed(bomb, 1), { 'grpc-encoding': 'gzip' });
    expect(reply.status).toBe(8);
  });

  it('takes a message byte by byte', async () => {
    const called = nextCall();
    const stream = begin(session);
    const reply = replyOf(stream);
    for (const byte of framed(WITH_INPUT)) stream.write(Buffer.of(byte));
    stream.end();
    const call = await called;
    expect(call.parse(MANIFEST).inputs.get('x')?.data).toHaveLength(0);
    call.refuse(new OipError('not_ready', 'enough'));
    expect(await reply).toMatchObject({ status: 14 });
  });

  it.each([
    ['2S', 2e6],
    ['5m', 5000],
    ['7u', 7],
    ['1n', 1],
    ['0S', 1],
    ['1H', 3.6e9],
  ])('hands on a grpc-timeout of %s', async (timeout, timeoutUs) => {
    const called = nextCall();
    const reply = callWith(session, framed(WITH_INPUT), { 'grpc-timeout': timeout });
    const call = await called;
    expect(call.parse(MANIFEST).options.timeoutUs).toBeNull();
    expect(call.deadlineMs).toBe(call.startedMs + timeoutUs / 1000);
    call.refuse(new OipError('deadline_exceeded', 'too late'));
    expect(await reply).toMatchObject({ status: 4 });
  });

  it('says when an overloaded server should be asked again', async () => {
    const called = nextCall();
    const reply = callWith(session, framed(MESSAGE));
    (await called).refuse(new OipError('overloaded', 'full', { retryAfterSeconds: 2 }));
    const { headers, status } = await reply;
    expect(status).toBe(14);
    expect(headers).toMatchObject({ 'grpc-retry-pushback-ms': '2000' });
  });

  it('tells nothing of its own failures', async () => {
    const called = nextCall();
    const reply = callWith(session, framed(MESSAGE));
    (await called).refuse(new Error('a secret path'));
    expect((await reply).headers).toMatchObject({
      'grpc-status': '13',
      'grpc-message': 'internal error',
    });
  });

  it('sees that a client has left, and answers it no more', async () => {
    const called = nextCall();
    const stream = begin(session);
    const reply = replyOf(stream);
    stream.end(framed(WITH_INPUT));
    const call = await called;
    expect(call.gone()).toBe(false);
    stream.close(8);
    await reply;
    // The ping is behind the reset on the wire: once it is answered, the reset has been read.
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    expect(call.gone()).toBe(true);
    const from = { deployment: 'm', version: 1, decision: 'd', arm: 'stable', generation: 1 };
    const y = { datatype: 'UINT8', shape: [1], data: Uint8Array.of(1) } as const;
    call.answer(call.parse(MANIFEST), new Map([['y', y]]), from);
    call.refuse(new OipError('not_ready', 'nobody hears'));
  });

  it('serves connections that another has accepted', async () => {
    const other = createGrpcServer(held, READY, { maxBodyBytes: MAX_BODY_BYTES });
    const accepting = createServer((socket: Socket) => other.emit('connection', socket));
    accepting.listen(0, '127.0.0.1');
    await once(accepting, 'listening');
    const given = await openSession(`127.0.0.1:${(accepting.address() as AddressInfo).port}`);
    const reply = await callWith(given, framed(Buffer.alloc(0)), {
      ':path': '/grpc.health.v1.Health/Check',
    });
    expect(reply.body).toEqual(framed(Buffer.from([8, 1])));
    accepting.close();
    const closed = once(given, 'close');
    await closeGrpcServer(other, 1000);
    await closed;
  });

  it('answers what is on its way before it closes, and ends health watches', async () => {
    const watch = begin(session, { ':path': '/grpc.health.v1.Health/Watch' });
    const watched = replyOf(watch);
    watch.end(framed(Buffer.alloc(0)));
    await once(watch, 'data');
    const called = nextCall();
    const reply = callWith(session, framed(MESSAGE));
    const call = await called;
    const closed = closeGrpcServer(server, 5000);
    call.refuse(new OipError('engine_died', 'bye'));
    expect(await reply).toMatchObject({ status: 14 });
    expect(await watched).toMatchObject({ status: 14 });
    await closed;
  });

  it('lets go of connections that speak no HTTP/2', async () => {
    const { port } = server.address() as AddressInfo;
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense and more',
    ]) {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
      socket.on('error', () => undefined);
      socket.resume();
      await once(socket, 'close');
    }
    expect((await callWith(session, Buffer.alloc(0))).status).toBe(3);
  });
});
