import { Agent, request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TEST_MODELS } from '../../../contract/oip/models.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const SEED = 20_250_301;
const JSON_CASES = 2500;
const BINARY_CASES = 3500;
/** No case needs more than a few milliseconds; a request that hangs fails here and not at the test's end. */
const HANG_MS = 3000;
const MAX_BODY_BYTES = 1024 * 1024;
/** Room for V8's own heap to breathe; a leak of whole bodies would pass it within a few hundred cases. */
const MAX_RSS_GROWTH_BYTES = 300 * 1024 * 1024;

const MODELS = Object.keys(TEST_MODELS);
const DATATYPES = [
  'BOOL',
  'UINT8',
  'INT64',
  'UINT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
  'BF16',
  'X',
];

let engine: OipEngine;
const keepAlive = new Agent({ keepAlive: true, maxSockets: 1 });

beforeAll(async () => {
  const models = Object.fromEntries(
    Object.entries(TEST_MODELS).map(([name, inputs]) => [name, identityModel(inputs)]),
  );
  engine = await startOipEngine(models, MAX_BODY_BYTES);
});

afterAll(async () => {
  keepAlive.destroy();
  await engine.stop();
});

interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

function post(model: string, body: Buffer, headers: Record<string, string>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const path = `${engine.url}/v2/models/${model}/infer`;
    const options = { method: 'POST', headers, agent: keepAlive, timeout: HANG_MS };
    const req = httpRequest(path, options, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks) }));
    });
    req.on('timeout', () => req.destroy(new Error(`no answer within ${HANG_MS} ms`)));
    req.on('error', reject);
    req.end(body);
  });
}

/** The only thing that must hold whatever was sent: an answer, or a refusal that says whose fault it was. */
function checkReply({ status, body }: Reply): void {
  if (status === 200) return;
  expect(status, body.toString()).toBeGreaterThanOrEqual(400);
  expect(status, body.toString()).toBeLessThan(500);
  expect(typeof (JSON.parse(body.toString()) as { error: unknown }).error).toBe('string');
}

const dimension = fc.oneof(
  fc.nat({ max: 4 }),
  fc.constantFrom(-1, 0, 1.5, 2 ** 31 - 1, 2 ** 31, 2 ** 53 - 1, 2 ** 62, 1e308, '2', null),
);
const scalar = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(
    2 ** 53,
    2 ** 63,
    -(2 ** 63),
    1e39,
    '9223372036854775807',
    '\ud800',
    'a\0',
    '',
    null,
    true,
  ),
);
const data = fc.oneof(
  fc.array(scalar, { maxLength: 6 }),
  fc.array(fc.array(scalar, { maxLength: 3 }), { maxLength: 3 }),
  fc.jsonValue({ maxDepth: 4 }),
);
const size = fc.oneof(
  fc.nat({ max: 40 }),
  fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53 - 1, 2 ** 63, 1e308, '8', null, true),
);
const parameters = fc.oneof(
  fc.record(
    { binary_data_size: size, shared_memory_region: fc.string(), binary_data: fc.jsonValue() },
    { requiredKeys: [] },
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const input = fc.record(
  {
    name: fc.constantFrom('x', 'a', 'b', 'c', '__proto__', 'X', 1),
    shape: fc.oneof(fc.array(dimension, { maxLength: 3 }), fc.jsonValue({ maxDepth: 1 })),
    datatype: fc.constantFrom(...DATATYPES),
    data,
    parameters,
  },
  { requiredKeys: ['name', 'shape', 'datatype'] },
);
const requestDocument = fc.record(
  {
    id: fc.oneof(fc.string(), fc.jsonValue({ maxDepth: 1 })),
    inputs: fc.oneof(fc.array(input, { maxLength: 4 }), fc.jsonValue({ maxDepth: 2 })),
    outputs: fc.oneof(
      fc.array(fc.record({ name: fc.constantFrom('x_out', 'a_out', 'y'), parameters }), {
        maxLength: 3,
      }),
      fc.jsonValue({ maxDepth: 2 }),
    ),
    parameters: fc.oneof(
      fc.record({ binary_data_output: fc.boolean() }),
      fc.jsonValue({ maxDepth: 1 }),
    ),
  },
  { requiredKeys: ['inputs'] },
);
const model = fc.constantFrom(...MODELS);

/** Bytes with a few of them changed, dropped or doubled. */
const damage = fc.array(
  fc.record({
    place: fc.nat(),
    what: fc.constantFrom('change', 'drop', 'double'),
    byte: fc.nat({ max: 255 }),
  }),
  { maxLength: 4 },
);

function damaged(
  bytes: Buffer,
  changes: readonly { place: number; what: string; byte: number }[],
): Buffer {
  let out = bytes;
  for (const { place, what, byte } of changes) {
    if (out.length === 0) break;
    const at = place % out.length;
    const middle = what === 'drop' ? [] : what === 'double' ? [out[at], out[at]] : [byte];
    out = Buffer.concat([out.subarray(0, at), Buffer.from(middle), out.subarray(at + 1)]);
  }
  return out;
}

/** A request that is right, for a model of one free dimension; what most damage is done to. */
const rightVector = fc
  .record({
    datatype: fc.constantFrom('FP32', 'INT64', 'UINT8', 'FP64', 'BOOL', 'FP16'),
    count: fc.nat({ max: 5 }),
  })
  .map(({ datatype, count }) => {
    const width = { FP32: 4, INT64: 8, UINT8: 1, FP64: 8, BOOL: 1, FP16: 2 }[datatype] ?? 1;
    const own = { binary_data_size: count * width };
    const inputs = [{ name: 'x', shape: [count], datatype, parameters: own }];
    const json = JSON.stringify({ inputs, parameters: { binary_data_output: true } });
    return { model: `id_${datatype.toLowerCase()}`, json, tensor: Buffer.alloc(count * width) };
  });

async function hold(property: fc.IAsyncProperty<unknown>, numRuns: number): Promise<void> {
  const before = process.memoryUsage().rss;
  await fc.assert(property, { seed: SEED, numRuns });
  expect(process.memoryUsage().rss - before).toBeLessThan(MAX_RSS_GROWTH_BYTES);
  const json = '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}';
  expect((await post('id_fp32', Buffer.from(json), {})).status).toBe(200);
}

describe('whatever a client sends, it is answered, and never with a 5xx', () => {
  it('as JSON', async () => {
    const json = fc.oneof(
      {
        weight: 3,
        arbitrary: requestDocument.map((document) => Buffer.from(JSON.stringify(document))),
      },
      {
        weight: 1,
        arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      },
      { weight: 1, arbitrary: fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))) },
    );
    const encoding = fc.constantFrom('', '', '', 'gzip', 'deflate', 'br');
    const property = fc.asyncProperty(
      model,
      json,
      damage,
      encoding,
      async (name, bytes, changes, packed) => {
        const headers: Record<string, string> = packed === '' ? {} : { 'content-encoding': packed };
        checkReply(await post(name, damaged(bytes, changes), headers));
      },
    );
    await hold(property, JSON_CASES);
  }, 20_000);

  it('as JSON with binary tensors', async () => {
    const framed = fc.oneof(
      rightVector.map(({ model: name, json, tensor }) => ({
        name,
        json: Buffer.from(json),
        tensor,
      })),
      fc.record({
        name: model,
        json: requestDocument.map((document) => Buffer.from(JSON.stringify(document))),
        tensor: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      }),
    );
    const off = fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: -200, max: 200 }) },
      { weight: 1, arbitrary: fc.constantFrom('0', '', '-0', 'x', '1e1', '99999999999', '1,1') },
    );
    const property = fc.asyncProperty(
      framed,
      damage,
      off,
      fc.boolean(),
      async (parts, changes, shift, early) => {
        const { name, json, tensor } = parts;
        const sent = early ? damaged(json, changes) : json;
        const length = typeof shift === 'string' ? shift : String(sent.length + shift);
        const body = Buffer.concat([sent, early ? tensor : damaged(tensor, changes)]);
        checkReply(await post(name, body, { 'inference-header-content-length': length }));
      },
    );
    await hold(property, BINARY_CASES);
  }, 30_000);
});
