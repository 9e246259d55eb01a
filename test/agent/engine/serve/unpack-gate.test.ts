import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Unpacked,
  UnpackGate,
  unpackGate,
} from '../../../../agent/engine/serve/content-encoding-gate.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { begin, callWith, framed, openSession, replyOf } from '../../../support/grpc-call.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const MAX_BYTES = 64 * 1024;
const here = () => false;
/** Becomes as much as is allowed. */
const BOMB = gzipSync(Buffer.alloc(MAX_BYTES));

async function outcome(unpacking: Promise<Unpacked>): Promise<number | string> {
  try {
    return (await unpacking).bytes.length;
  } catch (error) {
    return error instanceof OipError ? error.code : String(error);
  }
}

describe('the gate of packed bodies', () => {
  it('holds four of the largest bodies, and takes another when one is released', async () => {
    const gate = new UnpackGate();
    const unpack = () => gate.unpack(BOMB, 'gzip', MAX_BYTES, here);
    const held = [await unpack(), await unpack(), await unpack(), await unpack()];
    expect(gate.heldBytes).toBe(4 * MAX_BYTES);
    await expect(unpack()).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
    for (const _ of [1, 2]) held[0].release();
    expect(gate.heldBytes).toBe(3 * MAX_BYTES);
    expect(await outcome(unpack())).toBe(MAX_BYTES);
    await expect(unpack()).rejects.toThrow('too many packed bodies');
  });

  it('holds what a body became, not what it could have become', async () => {
    const gate = new UnpackGate();
    const small = await gate.unpack(gzipSync('twelve bytes'), 'gzip', MAX_BYTES, here);
    expect(small.bytes.toString()).toBe('twelve bytes');
    expect(gate.heldBytes).toBe(12);
  });

  it('never reserves less than deflate can give', async () => {
    const size = 50 * 1024 * 1024;
    const densest = deflateRawSync(Buffer.alloc(size), { level: 9 });
    const gate = new UnpackGate();
    const unpacking = gate.unpack(densest, 'deflate', 2 * size, here);
    expect(gate.heldBytes).toBeGreaterThanOrEqual(size);
    expect((await unpacking).bytes).toHaveLength(size);
    expect(gate.heldBytes).toBe(size);
  });

  it('holds nothing of a body that is broken, too large, or of a client that left', async () => {
    const gate = new UnpackGate();
    const large = gzipSync(Buffer.alloc(MAX_BYTES + 1));
    const outcomes = [
      gate.unpack(Buffer.from('no gzip'), 'gzip', MAX_BYTES, here),
      gate.unpack(large, 'gzip', MAX_BYTES, here),
      gate.unpack(BOMB, 'gzip', MAX_BYTES, () => true),
    ];
    expect(await Promise.all(outcomes.map(outcome))).toEqual([
      'bad_request',
      'body_too_large',
      'bad_request',
    ]);
    expect(gate.heldBytes).toBe(0);
  });

  it('unpacks two at a time, in order, and lets no more than 256 wait', async () => {
    const gate = new UnpackGate();
    const body = gzipSync('x');
    const begun: number[] = [];
    const all = Array.from({ length: 259 }, (_, k) =>
      outcome(
        gate.unpack(body, 'gzip', MAX_BYTES, () => {
          begun.push(k);
          return false;
        }),
      ),
    );
    expect(begun).toEqual([0, 1]);
    const outcomes = await Promise.all(all);
    expect(begun).toEqual(Array.from({ length: 258 }, (_, k) => k));
    expect(outcomes.filter((each) => each === 1)).toHaveLength(258);
    expect(outcomes[258]).toBe('overloaded');
  });

  it('lets no more packed bytes wait than four of the largest bodies', async () => {
    const gate = new UnpackGate();
    const noise = Buffer.alloc(MAX_BYTES, 1);
    const all = Array.from({ length: 5 }, () =>
      outcome(gate.unpack(noise, 'gzip', MAX_BYTES, here)),
    );
    expect((await Promise.all(all)).slice(3)).toEqual(['bad_request', 'overloaded']);
  });
});

describe('what a request held of the gate', () => {
  const json = { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }] };
  const STREAM = { ':path': '/inference.GRPCInferenceService/ModelStreamInfer' };
  let oip: OipEngine;
  beforeEach(async () => {
    const spec = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1] }]);
    oip = await startOipEngine({ id: spec }, MAX_BYTES);
  });
  afterEach(() => oip.stop());

  it.each([
    ['answered', 'id', JSON.stringify(json), 200],
    ['refused by the model', 'id', '{}', 400],
    ['refused before', 'none', '{}', 404],
  ])('is free once it is %s over REST', async (_, model, body, status) => {
    const answer = await fetch(`${oip.url}/v2/models/${model}/infer`, {
      method: 'POST',
      headers: { 'content-encoding': 'gzip' },
      body: gzipSync(body),
    });
    expect(answer.status).toBe(status);
    expect(unpackGate.heldBytes).toBe(0);
  });

  it.each([
    ['a call', {}],
    ['a stream', STREAM],
    ['a health check', { ':path': '/grpc.health.v1.Health/Check' }],
  ])('is free once %s over gRPC is answered', async (_, path) => {
    const session = await openSession(oip.grpc);
    const headers = { 'grpc-encoding': 'gzip', ...path };
    // `{model_name: "none"}`; a health check reads the same field as its service.
    const message = Buffer.concat([Buffer.from([0x0a, 4]), Buffer.from('none')]);
    const { httpStatus } = await callWith(session, framed(gzipSync(message), 1), headers);
    expect(httpStatus).toBe(200);
    expect(unpackGate.heldBytes).toBe(0);
    session.destroy();
  });

  it('is free once a call of two messages is refused', async () => {
    const session = await openSession(oip.grpc);
    const stream = begin(session, { 'grpc-encoding': 'gzip' });
    const reply = replyOf(stream);
    const message = framed(gzipSync(Buffer.from([0x0a, 1, 0x6d])), 1);
    stream.end(Buffer.concat([message, message]));
    expect((await reply).status).toBe(3);
    await expect.poll(() => unpackGate.heldBytes).toBe(0);
    session.destroy();
  });
});
