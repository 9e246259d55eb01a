import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INFERENCE } from '../../../contract/oip/grpc-client.ts';
import { TEST_MODELS } from '../../../contract/oip/models.ts';
import { changes, damaged, encoded } from '../../../support/grpc-arbitraries.ts';
import {
  begin,
  callWith,
  framed,
  openSession,
  type RawReply,
  replyOf,
} from '../../../support/grpc-call.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const SEED = 20_250_301;
const MESSAGE_CASES = 4000;
const CALL_CASES = 1500;
const SOCKET_CASES = 500;
/** No case needs more than a few milliseconds; a call that hangs fails here and not at the test's end. */
const HANG_MS = 3000;
const MAX_BODY_BYTES = 1024 * 1024;
/** Room for V8's own heap to breathe; a leak of whole bodies would pass it within a few hundred cases. */
const MAX_RSS_GROWTH_BYTES = 300 * 1024 * 1024;

/** Whose fault it can be when a client has sent anything at all: never ours (2 UNKNOWN, 13 INTERNAL, 14, 15). */
const OF_THE_CLIENT = new Set([0, 3, 4, 5, 7, 8, 12]);

let engine: OipEngine;
let session: ClientHttp2Session;

beforeAll(async () => {
  const models = Object.fromEntries(
    Object.entries(TEST_MODELS).map(([name, inputs]) => [name, identityModel(inputs)]),
  );
  engine = await startOipEngine(models, MAX_BODY_BYTES);
  session = await openSession(engine.grpc);
});

afterAll(async () => {
  session.destroy();
  await engine.stop();
});

async function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${HANG_MS} ms`)), HANG_MS);
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}

function checkReply(reply: RawReply): void {
  const why = `${reply.headers['grpc-message'] ?? reply.trailers['grpc-message']}`;
  expect(reply.httpStatus, why).toBe(200);
  expect(OF_THE_CLIENT, `status ${reply.status}: ${why}`).toContain(reply.status);
}

async function hold(property: fc.IAsyncProperty<unknown>, numRuns: number): Promise<void> {
  const before = process.memoryUsage().rss;
  await fc.assert(property, { seed: SEED, numRuns });
  expect(process.memoryUsage().rss - before).toBeLessThan(MAX_RSS_GROWTH_BYTES);
  const right = {
    model_name: 'id_fp32',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
    raw_input_contents: [Buffer.alloc(4)],
  };
  const fresh = await openSession(engine.grpc);
  const bytes = Buffer.from(INFERENCE.ModelInfer.requestSerialize(right));
  expect((await within(callWith(fresh, framed(bytes)))).status).toBe(0);
  fresh.destroy();
}

describe('whatever a client sends over gRPC, it is answered, and never as a fault of ours', () => {
  it('as messages', async () => {
    const message = fc.oneof(
      { weight: 4, arbitrary: encoded },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)) },
    );
    const property = fc.asyncProperty(message, changes, async (bytes, damage) => {
      checkReply(await within(callWith(session, framed(damaged(bytes, damage)))));
    });
    await hold(property, MESSAGE_CASES);
  }, 60_000);

  it('as prefixes, encodings, methods, pieces and broken-off calls', async () => {
    const call = fc.record({
      message: encoded,
      flag: fc.constantFrom(0, 0, 0, 1, 2, 255),
      length: fc.oneof(fc.constant(0), fc.integer({ min: -9, max: 9 }), fc.constant(2 ** 31)),
      encoding: fc.constantFrom('identity', 'identity', 'gzip', 'deflate', 'br', ''),
      timeout: fc.constantFrom('1S', '1S', '1n', '0u', 'x', '999999999S'),
      method: fc.constantFrom(
        ...['ModelInfer', 'ModelInfer', 'ModelStreamInfer', 'ModelMetadata', 'ModelStatistics'],
        ...['RepositoryIndex', 'RepositoryModelLoad', 'ServerLive', 'x'],
      ),
      pieces: fc.array(fc.nat({ max: 60 }), { maxLength: 3 }),
      cut: fc.constantFrom(false, false, false, true),
      again: fc.boolean(),
    });
    const property = fc.asyncProperty(call, changes, async (given, damage) => {
      const declared = Math.max(0, given.message.length + given.length);
      const one = framed(given.message, given.flag, declared);
      const body = damaged(given.again ? Buffer.concat([one, one]) : one, damage);
      const stream = begin(session, {
        ':path': `/inference.GRPCInferenceService/${given.method}`,
        'grpc-encoding': given.encoding,
        'grpc-timeout': given.timeout,
      });
      const reply = replyOf(stream);
      let at = 0;
      for (const length of given.pieces) {
        stream.write(body.subarray(at, at + length));
        at += length;
      }
      if (given.cut) {
        // `close` would wait for the pieces to be sent, which node's client forgets now and then.
        stream.destroy();
        await within(reply);
        return;
      }
      stream.end(body.subarray(at));
      checkReply(await within(reply));
    });
    await hold(property, CALL_CASES);
  }, 60_000);

  it('as frames on a socket: the connection ends or goes on, and the server lives', async () => {
    const [host, port] = engine.grpc.split(':');
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const frame = fc
      .record({
        type: fc.nat({ max: 12 }),
        flags: fc.nat({ max: 255 }),
        stream: fc.constantFrom(0, 1, 1, 3, 2, 2 ** 31 - 1),
        payload: fc.uint8Array({ maxLength: 60 }),
        off: fc.constantFrom(0, 0, 0, -1, 1, 16_000_000),
      })
      .map(({ type, flags, stream, payload, off }) => {
        const head = Buffer.alloc(9);
        head.writeUIntBE(Math.max(0, payload.length + off), 0, 3);
        head[3] = type;
        head[4] = flags;
        head.writeUInt32BE(stream, 5);
        return Buffer.concat([head, payload]);
      });
    const property = fc.asyncProperty(fc.array(frame, { maxLength: 6 }), async (frames) => {
      const heard = new Promise<void>((resolve) => {
        const socket = connect(Number(port), host, () => {
          socket.write(Buffer.concat([preface, settings, ...frames]));
        });
        socket.on('error', () => undefined);
        // Its settings at least: node answers nothing more on a connection that has broken the protocol.
        socket.on('data', () => socket.destroy());
        socket.on('close', () => resolve());
      });
      await within(heard);
    });
    await hold(property, SOCKET_CASES);
  }, 60_000);
});
