import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { featureLookupSchema } from '../../protocol/feature-lookup.ts';
import type { Serving } from '../../protocol/serving.ts';
import { type OipEngine, startOipEngine } from '../support/oip-engine.ts';
import { identityModel } from '../support/onnx-builder.ts';
import { type Feast, startFeast } from './support/feast.ts';
import { INSTALL_HOOK_TIMEOUT_MS } from './support/python-checks.ts';
import { skipWithout } from './support/require.ts';

/** As in `python/feast_repo`: drivers 1001 complete, 1002 with nulls, 1003 of three days ago, 1004 unknown. */
const MODEL = identityModel([
  { name: 'rates', datatype: 'FP32', shape: [-1, 2] },
  { name: 'trips', datatype: 'INT64', shape: [-1, 1] },
  { name: 'city', datatype: 'BYTES', shape: [-1] },
  { name: 'flagged', datatype: 'BOOL', shape: [-1, 1] },
]);
const DRIVERS = {
  server: 'drivers',
  entities: [{ name: 'driver_id', datatype: 'INT64' }],
  columns: [
    { feature: 'driver_stats:conv_rate', tensor: 'rates', index: 0, default: 'NaN' },
    { feature: 'driver_stats:acc_rate', tensor: 'rates', index: 1, default: -1 },
    { feature: 'driver_stats:trips', tensor: 'trips', default: 0 },
    { feature: 'driver_stats:city', tensor: 'city', default: '?' },
    { feature: 'driver_stats:flagged', tensor: 'flagged', default: 0 },
  ],
  timeoutMs: 20_000,
};
const SERVICE = {
  ...DRIVERS,
  featureService: 'driver_activity',
  entities: [...DRIVERS.entities, { name: 'shop_code', datatype: 'BYTES' }],
  columns: [
    { feature: 'driver_stats:conv_rate', tensor: 'x', index: 0 },
    { feature: 'shop_profile:rating', tensor: 'x', index: 1 },
  ],
};
const lookup = (value: object): Serving => ({ features: featureLookupSchema.parse(value) });
const SERVING = {
  drivers: lookup(DRIVERS),
  mild: lookup({ ...DRIVERS, onMissing: 'default' }),
  fresh: lookup({ ...DRIVERS, onMissing: 'default', maxAgeMs: 86_400_000 }),
  service: lookup(SERVICE),
  nonsense: lookup({ ...DRIVERS, columns: [{ feature: 'driver_stats:nope', tensor: 'trips' }] }),
  noview: lookup({ ...DRIVERS, columns: [{ feature: 'nope:nope', tensor: 'trips' }] }),
};
const PAIR = identityModel([{ name: 'x', datatype: 'FP64', shape: [-1, 2] }]);

let feast: Feast = { kind: 'missing', reason: 'feast serve did not start' };
let engine: OipEngine | null = null;
beforeAll(async () => {
  feast = await startFeast();
  if (feast.kind === 'missing') return;
  const names = Object.keys(SERVING);
  const models = Object.fromEntries(names.map((name) => [name, name === 'service' ? PAIR : MODEL]));
  const featureServers = new Map([['drivers', feast.url]]);
  engine = await startOipEngine(models, 1e6, SERVING, { featureServers });
}, INSTALL_HOOK_TIMEOUT_MS);
afterAll(async () => {
  await engine?.stop();
  if (feast.kind === 'ready') await feast.stop();
});
beforeEach((context) => {
  if (feast.kind === 'missing') skipWithout(context, feast.reason);
});

const input = (name: string, datatype: string, data: unknown[]) => ({
  name,
  datatype,
  shape: [data.length],
  data,
});
const drivers = (...ids: number[]) => [input('driver_id', 'INT64', ids)];
async function infer(model: string, inputs: object[]) {
  const response = await fetch(`${engine?.url}/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs }),
  });
  const text = await response.text();
  const answer = JSON.parse(text) as {
    code?: string;
    error?: string;
    parameters?: { features_defaulted?: number };
    outputs?: { name: string; data: unknown[] }[];
  };
  const outputs = Object.fromEntries(answer.outputs?.map(({ name, data }) => [name, data]) ?? []);
  return { ...answer, status: response.status, text, outputs };
}

describe('features of the real feast serve', () => {
  it('reach the model as they are: floats bit for bit, integers beyond 2^53, text, booleans', async () => {
    const { status, text, outputs } = await infer('drivers', drivers(1001, 1003, 1001));
    expect(status, text).toBe(200);
    const [low, third] = [Math.fround(0.1), Math.fround(0.3)];
    expect(outputs.rates_out).toEqual([low, low, 0.75, third, low, low].map(Number));
    expect(outputs.city_out).toEqual(['Zürich', 'Bern', 'Zürich']);
    expect(outputs.flagged_out).toEqual([true, false, true]);
    expect(text).toContain('"data":[9007199254740993,7,9007199254740993]');
  });

  it.each([
    ['null', 1002, 'conv_rate'],
    ['unknown', 1004, 'conv_rate'],
  ])('that are %s are missing', async (_what, id, feature) => {
    const { status, code, error } = await infer('drivers', drivers(1001, id));
    expect([status, code]).toEqual([422, 'feature_missing']);
    expect(error).toBe(`there is no "driver_stats:${feature}" for the key ${id}`);
  });

  it('are replaced by defaults where a lookup says so', async () => {
    const { text, outputs, parameters } = await infer('mild', drivers(1001, 1003));
    expect(parameters, text).not.toHaveProperty('features_defaulted');
    expect(outputs.city_out).toEqual(['Zürich', 'Bern']);
    // A NaN has no JSON form, and went in by our own default: the answer says so rather than invent a value.
    expect((await infer('mild', drivers(1004))).code).toBe('non_finite_input');
  });

  it('that are older than the lookup allows are missing, which Feast itself does not see to', async () => {
    const { code } = await infer('fresh', drivers(1003));
    expect(code).toBe('non_finite_input');
    expect((await infer('fresh', drivers(1001))).status).toBe(200);
  });

  it('come from a feature service with two keys', async () => {
    const { text, outputs } = await infer('service', [
      ...drivers(1001, 1003),
      input('shop_code', 'BYTES', ['a-1', 'b-2']),
    ]);
    expect(outputs.x_out, text).toEqual([0.10000000149011612, 4.5, 0.75, -0]);
  });

  it.each([
    ['nonsense', /answered 500: .*nope not found in projection/],
    ['noview', /answered 404: .*FeatureViewNotFoundException/],
  ])(
    'of a lookup that names what is not there are refused in the words of the server',
    async (model, told) => {
      const { status, code, error } = await infer(model, [
        ...drivers(1001),
        { ...input('rates', 'FP32', [1, 2]), shape: [1, 2] },
        input('city', 'BYTES', ['x']),
        { ...input('flagged', 'BOOL', [true]), shape: [1, 1] },
      ]);
      expect([status, code]).toEqual([503, 'feature_server_failed']);
      expect(error).toMatch(told);
    },
  );

  it('are had through the restarts of its workers, every thousand requests', async () => {
    const failed: string[] = [];
    // One after the other, because calls of one turn are one call; more than its 1000 and their jitter of 50.
    for (let request = 0; request < 1_100; request += 1) {
      const { status, text } = await infer('drivers', drivers(1001));
      if (status !== 200) failed.push(text);
    }
    expect(failed).toEqual([]);
  });
});
