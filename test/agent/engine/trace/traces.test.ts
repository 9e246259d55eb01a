import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import { GrpcClient } from '../../../contract/oip/grpc-client.ts';
import { startFeatureServer, type TestFeatureServer } from '../../../support/feature-server.ts';
import { type OipEngine, startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';
import {
  attributesOf,
  type CollectedSpan,
  startTraceCollector,
  type TraceCollector,
} from '../../../support/trace-collector.ts';

const MODEL = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]);
const SPAN = 'b7ad6b7169203331';
const traceOf = (digit: string) => digit.repeat(32);
const parent = (digit: string, flags = '01') => `00-${traceOf(digit)}-${SPAN}-${flags}`;
const features = featureLookupSchema.parse({
  server: 'shop',
  entities: [{ name: 'id', datatype: 'INT64' }],
  columns: [{ feature: 'v:a', tensor: 'x', default: 0 }],
  timeoutMs: 1_000,
  onMissing: 'default',
});

let collector: TraceCollector;
let server: TestFeatureServer;
let engine: OipEngine;
let spans: CollectedSpan[];
/** Decision ids by the trace of their request. */
const decisions = new Map<string, string>();

async function infer(model: string, traceparent: string, value: object, name = 'x') {
  const response = await fetch(`${engine.url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { traceparent, tracestate: 'shop=1' },
    body: JSON.stringify({ inputs: [{ name, ...value }] }),
  });
  const { parameters } = (await response.json()) as { parameters?: { decision_id: string } };
  decisions.set(traceparent.slice(3, 35), parameters?.decision_id ?? '');
}

const X = { datatype: 'FP32', shape: [2, 1], data: [1, 2] };

beforeAll(async () => {
  collector = await startTraceCollector();
  server = await startFeatureServer({ '7': { 'v:a': 1 } });
  engine = await startOipEngine(
    { plain: MODEL, fetching: MODEL },
    1e6,
    { fetching: { features } },
    {
      traces: { url: collector.url, sample: 0 },
      featureServers: new Map([['shop', server.url]]),
    },
  );
  await infer('plain', parent('1'), X);
  await infer('plain', parent('2', '00'), X);
  await infer('plain', 'no trace', X);
  await infer('fetching', parent('3'), { datatype: 'INT64', shape: [2], data: [7, 8] }, 'id');
  await infer('plain', parent('4'), { ...X, shape: [3, 1] });
  await infer('nothing', parent('5'), X);
  const client = new GrpcClient(engine.grpc);
  const metadata = new Metadata();
  metadata.set('traceparent', parent('6'));
  await client.call(
    'ModelInfer',
    {
      model_name: 'plain',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], contents: { fp32_contents: [1] } }],
    },
    { metadata },
  );
  client.close();
  // What waits is sent when an engine stops.
  await engine.stop();
  spans = collector.spans();
});
afterAll(async () => {
  await server.stop();
  await collector.stop();
});

const traced = (digit: string) => spans.filter(({ traceId }) => traceId === traceOf(digit));
const named = (digit: string, name: string): CollectedSpan => {
  const found = traced(digit).find((span) => span.name === name);
  if (found === undefined) throw new Error(`no span ${name} in ${JSON.stringify(traced(digit))}`);
  return found;
};

it('a request whose caller is sampled is a span below the caller, with queue and compute below it', () => {
  const infer = named('1', 'infer plain');
  expect(infer).toMatchObject({ parentSpanId: SPAN, kind: 2, traceState: 'shop=1', status: {} });
  expect(attributesOf(infer)).toEqual({
    'driftline.deployment': 'plain',
    'driftline.model': 'plain',
    'driftline.version': '1',
    'driftline.arm': 'stable',
    'driftline.rows': '2',
    'driftline.decision_id': decisions.get(traceOf('1')),
  });
  const [queue, compute] = [named('1', 'queue'), named('1', 'compute')];
  expect([queue.parentSpanId, compute.parentSpanId]).toEqual([infer.spanId, infer.spanId]);
  expect(attributesOf(compute)).toEqual({ 'driftline.batch_rows': '2' });
  const times = [
    infer.startTimeUnixNano,
    queue.startTimeUnixNano,
    queue.endTimeUnixNano,
    compute.endTimeUnixNano,
    infer.endTimeUnixNano,
  ].map(BigInt);
  expect([...times].sort((a, b) => (a < b ? -1 : 1))).toEqual(times);
  expect(Math.abs(Number(times[0] / 1_000_000n) - Date.now())).toBeLessThan(60_000);
});

it('others are not traced', () => {
  expect(traced('2')).toEqual([]);
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(5);
});

it('a call of the feature server is a span, whose id the server is told', () => {
  const fetched = named('3', 'features');
  expect(fetched).toMatchObject({ kind: 3, parentSpanId: named('3', 'infer fetching').spanId });
  expect(attributesOf(fetched)).toEqual({ 'driftline.features_defaulted': '1' });
  expect(server.questions[0].headers).toMatchObject({
    traceparent: `00-${traceOf('3')}-${fetched.spanId}-01`,
    tracestate: 'shop=1',
  });
});

it('a refused request is a span with its error', () => {
  const bad = named('4', 'infer plain');
  expect(attributesOf(bad)).toMatchObject({
    'error.type': 'bad_request',
    'driftline.version': '1',
  });
  expect(bad.status).toMatchObject({ code: 2 });
  expect(traced('4')).toHaveLength(1);
  expect(attributesOf(named('5', 'infer nothing'))['error.type']).toBe('unknown_model');
});

it('the metadata of a gRPC call is honoured', () => {
  expect(named('6', 'infer plain').parentSpanId).toBe(SPAN);
});
