import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import type { Serving } from '../../../../protocol/serving.ts';
import { GrpcClient, type InferResponse } from '../../../contract/oip/grpc-client.ts';
import {
  answers,
  startFeatureServer,
  type TestFeatureServer,
} from '../../../support/feature-server.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const ROWS = {
  '1': { 'v:amount': 1.5, 'v:count': 9007199254740993n, 'v:city': 'Zürich' },
  '2': { 'v:amount': 2.5, 'v:count': 2, 'v:city': null },
  '3': { 'v:amount': 'many', 'v:count': 3, 'v:city': 'Bern' },
};
/** `x` is looked up in part, `n` and `city` wholly, `own` not at all. */
const MODEL = identityModel([
  { name: 'x', datatype: 'FP32', shape: [-1, 2] },
  { name: 'n', datatype: 'INT64', shape: [-1] },
  { name: 'city', datatype: 'BYTES', shape: [-1, 1] },
  { name: 'own', datatype: 'FP32', shape: [-1, 1] },
]);
const LOOKUP = {
  server: 'shop',
  entities: [{ name: 'id', datatype: 'INT64' }],
  columns: [
    { feature: 'v:amount', tensor: 'x', index: 1, default: -1 },
    { feature: 'v:count', tensor: 'n', default: 0 },
    { feature: 'v:city', tensor: 'city', default: '?' },
  ],
  timeoutMs: 1_000,
};
const lookup = (more: object): Serving => ({
  features: featureLookupSchema.parse({ ...LOOKUP, ...more }),
});
const SERVING = {
  strict: lookup({}),
  mild: lookup({ onMissing: 'default' }),
  slow: lookup({ timeoutMs: 60_000 }),
  elsewhere: lookup({ server: 'unknown' }),
  misfit: lookup({ columns: [{ feature: 'v:amount', tensor: 'z' }] }),
};

let server: TestFeatureServer;
let engine: OipEngine;
beforeAll(async () => {
  server = await startFeatureServer(ROWS);
  const models = Object.fromEntries(Object.keys(SERVING).map((name) => [name, MODEL]));
  engine = await startOipEngine(models, 1e6, SERVING, {
    featureServers: new Map([['shop', server.url]]),
  });
});
afterAll(async () => {
  await engine.stop();
  await server.stop();
});
beforeEach(() => {
  server.behaviour = answers;
});

const tensor = (name: string, datatype: string, shape: number[], data: unknown[]) => ({
  name,
  datatype,
  shape,
  data,
});
const body = (ids: number[], more: object = {}) => ({
  inputs: [
    tensor('id', 'INT64', [ids.length], ids),
    tensor(
      'x',
      'FP32',
      [ids.length, 2],
      ids.flatMap((id) => [id / 8, 99]),
    ),
    tensor('own', 'FP32', [ids.length, 1], ids),
  ],
  ...more,
});
async function infer(model: string, request: object) {
  const response = await fetch(`${engine.url}/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify(request),
  });
  const text = await response.text();
  const answer = JSON.parse(text) as {
    code?: string;
    error?: string;
    parameters?: { features_defaulted?: number };
    outputs?: { name: string; shape: number[]; data: unknown[] }[];
  };
  const outputs = Object.fromEntries(answer.outputs?.map(({ name, data }) => [name, data]) ?? []);
  return { ...answer, status: response.status, text, outputs };
}

describe('a deployment that fetches features', () => {
  it('gives its model what the request and the feature server have, exactly', async () => {
    const { status, text, outputs, parameters } = await infer('strict', body([1]));
    expect(status, text).toBe(200);
    expect(outputs.x_out).toEqual([0.125, 1.5]);
    expect(outputs.city_out).toEqual(['Zürich']);
    expect(outputs.own_out).toEqual([1]);
    expect(text).toContain('"data":[9007199254740993]');
    expect(parameters).not.toHaveProperty('features_defaulted');
  });

  it('refuses a request for which a feature is missing, and says which', async () => {
    const { status, code, error } = await infer('strict', body([1, 2]));
    expect([status, code]).toEqual([422, 'feature_missing']);
    expect(error).toBe('there is no "v:city" for the key 2');
  });

  it('or puts the defaults there, and says how many', async () => {
    const { outputs, parameters } = await infer('mild', body([1, 2, 4, 3]));
    expect(outputs.x_out).toEqual([0.125, 1.5, 0.25, 2.5, 0.5, -1, 0.375, -1]);
    expect(outputs.city_out).toEqual(['Zürich', '?', '?', 'Bern']);
    expect(parameters?.features_defaulted).toBe(5);
  });

  it('blames the feature server for a value that the model cannot take', async () => {
    const { status, code, error } = await infer('strict', body([3]));
    expect([status, code]).toEqual([503, 'feature_server_failed']);
    expect(error).toBe('"v:amount" of the key 3 is many, which "x" (FP32) cannot hold');
  });

  it('uses defaults when the feature server fails, and answers without rows', async () => {
    server.behaviour = (res) => res.writeHead(500).end();
    expect((await infer('strict', body([1]))).status).toBe(503);
    expect((await infer('mild', body([1]))).parameters?.features_defaulted).toBe(3);
    expect((await infer('strict', body([]))).outputs).toMatchObject({ x_out: [], own_out: [] });
  });

  it('keeps to the deadline of the request', async () => {
    server.behaviour = () => {};
    const { status, code } = await infer('slow', body([1], { parameters: { timeout: 20_000 } }));
    expect([status, code]).toEqual([504, 'deadline_exceeded']);
  });

  it('shows its clients what they give, over REST and gRPC', async () => {
    const inputs = [
      { name: 'id', datatype: 'INT64', shape: [-1] },
      { name: 'x', datatype: 'FP32', shape: [-1, 2] },
      { name: 'own', datatype: 'FP32', shape: [-1, 1] },
    ];
    for (const model of ['strict', 'elsewhere']) {
      const response = await fetch(`${engine.url}/v2/models/${model}`);
      expect(await response.json()).toMatchObject({ inputs });
    }
    const client = new GrpcClient(engine.grpc);
    const { value } = await client.call<{ inputs: { name: string }[] }>('ModelMetadata', {
      name: 'strict',
    });
    expect(value?.inputs.map(({ name }) => name)).toEqual(['id', 'x', 'own']);
    client.close();
  });

  it('answers over gRPC', async () => {
    const client = new GrpcClient(engine.grpc);
    const input = (name: string, datatype: string, shape: number[], contents: object) => ({
      name,
      datatype,
      shape,
      contents,
    });
    const inputs = [
      input('id', 'INT64', [1], { int64_contents: ['4'] }),
      input('x', 'FP32', [1, 2], { fp32_contents: [0.5, 99] }),
      input('own', 'FP32', [1, 1], { fp32_contents: [4] }),
    ];
    const { value } = await client.call<InferResponse>('ModelInfer', {
      model_name: 'mild',
      inputs,
    });
    expect(value?.parameters.features_defaulted).toMatchObject({ int64_param: '3' });
    expect(value?.outputs[0].contents?.fp32_contents).toEqual([0.5, -1]);
    const { error } = await client.call('ModelInfer', { model_name: 'strict', inputs });
    expect([error?.code, error?.metadata.get('driftline-code')]).toEqual([9, ['feature_missing']]);
    client.close();
  });

  it('tells what to do where its server is not known, or its columns do not fit', async () => {
    const unknown = await infer('elsewhere', body([1]));
    expect([unknown.status, unknown.code]).toEqual([503, 'not_ready']);
    expect(unknown.error).toContain('start its agent with --feature-server unknown=URL');
    const misfit = await infer('misfit', body([1]));
    expect([misfit.status, misfit.code]).toEqual([503, 'not_ready']);
    expect(misfit.error).toContain(`"v:amount" goes into "z", but the model's inputs are "x"`);
  });

  it.each<[string, object, RegExp]>([
    ['no keys', { inputs: body([1]).inputs.slice(1) }, /input "id".* is missing/],
    [
      'more rows than keys',
      { inputs: [tensor('id', 'INT64', [2], [1, 1]), ...body([1]).inputs.slice(1)] },
      /input "x" has 1 rows, and there are 2 keys/,
    ],
    [
      'a column that is looked up',
      { inputs: [...body([1]).inputs, tensor('n', 'INT64', [1], [1])] },
      /unknown input "n"/,
    ],
    ['too many keys', body(Array.from({ length: 4097 }, () => 1)), /at most 4096/],
  ])('refuses a request with %s', async (_what, request, message) => {
    const { status, code, error } = await infer('strict', request);
    expect([status, code]).toEqual([400, 'bad_request']);
    expect(error).toMatch(message);
  });

  it('forwards the trace of a request, as it came', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const before = server.questions.length;
    await fetch(`${engine.url}/v2/models/mild/infer`, {
      method: 'POST',
      headers: { traceparent, tracestate: 'shop=1' },
      body: JSON.stringify(body([1])),
    });
    expect(server.questions[before].headers).toMatchObject({ traceparent, tracestate: 'shop=1' });
  });
});
