import type { ClientHttp2Session } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callWith, framed, openSession } from '../../../support/grpc-call.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const UNAVAILABLE = 14;
/** `{model_name: "m"}`, and the same as the name in `ModelReadyRequest` and `HealthCheckRequest`. */
const NAMED_M = framed(Buffer.from([0x0a, 1, 0x6d]));
const EMPTY = framed(Buffer.alloc(0));
const SERVICE = '/inference.GRPCInferenceService';

let oip: OipEngine;
let session: ClientHttp2Session;

beforeAll(async () => {
  const spec = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1] }]);
  oip = await startOipEngine({ m: spec }, 1024 * 1024);
  session = await openSession(oip.grpc);
});
afterAll(async () => {
  session.destroy();
  await oip.stop();
});

/** The message of the answer, behind its prefix: 08 01 is true, or serving; 08 00 false; 08 02 not serving. */
const grpc = async (path: string, body: Buffer) => {
  const reply = await callWith(session, body, { ':path': path });
  return { status: reply.status, said: reply.body.subarray(5).toString('hex'), reply };
};

async function rest(path: string, body?: unknown) {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(oip.url + path, init);
  return { status: response.status, body: (await response.json()) as { code?: string } };
}

const infer = () =>
  rest('/v2/models/m/infer', {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }],
  });

async function readiness() {
  const live = await grpc(`${SERVICE}/ServerLive`, EMPTY);
  const server = await grpc(`${SERVICE}/ServerReady`, EMPTY);
  const model = await grpc(`${SERVICE}/ModelReady`, NAMED_M);
  const health = await grpc('/grpc.health.v1.Health/Check', EMPTY);
  const named = await grpc('/grpc.health.v1.Health/Check', NAMED_M);
  return [live, server, model, health, named].map(({ said }) => said);
}

describe('DRAIN-1: a drained engine', () => {
  it('refuses over REST and gRPC, with a code for programs, and is live and not ready', async () => {
    expect(await readiness()).toEqual(['0801', '0801', '0801', '0801', '0801']);
    expect(await oip.engine.drain(true, 1_000)).toBe(0);
    expect(await infer()).toMatchObject({ status: 503, body: { code: 'draining' } });
    const { reply, status } = await grpc(`${SERVICE}/ModelInfer`, NAMED_M);
    expect(status).toBe(UNAVAILABLE);
    expect({ ...reply.headers, ...reply.trailers }['driftline-code']).toBe('draining');
    expect(await readiness()).toEqual(['0801', '0800', '0800', '0802', '0802']);
    expect((await rest('/v2/models/m/ready')).status).toBe(503);
    expect((await rest('/v2/health/live')).status).toBe(200);
    expect((await rest('/v2/models/m')).status).toBe(200);
  });

  it('takes requests again when it is undrained', async () => {
    expect(await oip.engine.drain(false, 1_000)).toBe(0);
    expect((await infer()).status).toBe(200);
    expect(await readiness()).toEqual(['0801', '0801', '0801', '0801', '0801']);
  });
});
