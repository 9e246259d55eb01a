import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcClient, type Message } from '../../../contract/oip/grpc-client.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';

const WIDTH = 512;
const STEPS = 40;
/** Of the deployment: much less than its model computes, and much less than the callers wait. */
const TIMEOUT_US = 10_000;
const PATIENT = { timeout: { int64_param: 60_000_000 } };
const DEADLINE_EXCEEDED = 4;

const spec = (name: string) => ({ name, datatype: 'FP32' as const, shape: [WIDTH, WIDTH] });
/** 40 products of matrices: 10 GFLOP, a tenth of a second at least. */
const slow = {
  inputs: [spec('x')],
  outputs: [spec('y')],
  nodes: Array.from({ length: STEPS }, (_, at) => ({
    op: 'MatMul',
    inputs: [at === 0 ? 'x' : `p${at}`, 'x'],
    outputs: [at === STEPS - 1 ? 'y' : `p${at + 1}`],
  })),
};
const raw = [Buffer.alloc(4 * WIDTH * WIDTH)];
const shape = [WIDTH, WIDTH];
const request = (parameters: Message): Message => ({
  model_name: 'slow',
  parameters,
  inputs: [{ name: 'x', datatype: 'FP32', shape }],
  raw_input_contents: raw,
});

let engine: OipEngine;
let client: GrpcClient;
/** Called when a request has come to the model's queue. */
let entered: () => void = () => undefined;
beforeAll(async () => {
  const serving = { placement: 'worker', workers: 1, batching: { timeoutUs: TIMEOUT_US } } as const;
  const waiting = { waiting: () => entered(), settled: () => undefined };
  engine = await startOipEngine({ slow }, 8 * 1024 * 1024, { slow: serving }, { waiting });
  client = new GrpcClient(engine.grpc);
}, 60_000);
afterAll(async () => {
  client.close();
  await engine.stop();
});

describe("the deployment's timeout", () => {
  it.each([
    ['a deadline of a minute', 60_000, {}, DEADLINE_EXCEEDED],
    ['no deadline', null, {}, DEADLINE_EXCEEDED],
    ['a timeout of its own', null, PATIENT, null],
    ['both, and waits long', 60_000, PATIENT, null],
  ])('is kept to in the queue for a call with %s', async (_, waitsMs, parameters, code) => {
    const computing = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const first = client.infer(request(PATIENT));
    await computing;
    const options = waitsMs === null ? {} : { deadline: Date.now() + waitsMs };
    const second = await client.infer(request(parameters), options);
    expect((await first).error).toBeNull();
    // The server's own words: a client that gave up would tell of its deadline instead.
    expect(second.error?.code ?? null).toBe(code);
    if (code !== null) expect(second.error?.details).toMatch(/the request's timeout ended/);
  });
});
