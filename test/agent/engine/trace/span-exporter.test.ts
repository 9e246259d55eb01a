import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Span } from '../../../../agent/engine/trace/span.ts';
import {
  MAX_BATCH_SPANS,
  MAX_WAITING_SPANS,
  SpanExporter,
} from '../../../../agent/engine/trace/span-exporter.ts';
import { Tracer } from '../../../../agent/engine/trace/tracer.ts';
import { startTraceCollector, type TraceCollector } from '../../../support/trace-collector.ts';

const SPAN: Span = {
  traceId: '1'.repeat(32),
  spanId: '2'.repeat(16),
  parentId: null,
  tracestate: null,
  name: 'infer x',
  kind: 'server',
  startedMs: 0,
  endedMs: 1,
  attributes: {},
  error: null,
};

let collector: TraceCollector;
const exporter = () => new SpanExporter({ url: collector.url, resource: {}, version: '0' });
const add = (to: SpanExporter, count: number) => {
  for (let at = 0; at < count; at += 1) to.add(SPAN);
};

beforeEach(async () => {
  collector = await startTraceCollector();
});
afterEach(() => collector.stop());

it('spans are sent many at once, and what waits when it stops', async () => {
  const to = exporter();
  add(to, MAX_BATCH_SPANS + 3);
  await to.stop();
  expect(collector.spans()).toHaveLength(MAX_BATCH_SPANS + 3);
  expect(collector.bodies).toHaveLength(2);
  expect(to.counts).toEqual({ exported: MAX_BATCH_SPANS + 3, dropped: 0 });
});

it('a few are sent after a second', async () => {
  const to = exporter();
  add(to, 1);
  await collector.received(1);
  await to.stop();
  expect(to.counts.exported).toBe(1);
});

it('a slow endpoint costs spans, not memory: the rest is dropped and counted', async () => {
  collector.reply = () => {};
  const to = exporter();
  add(to, MAX_BATCH_SPANS + MAX_WAITING_SPANS + 10);
  expect(to.counts.dropped).toBe(10);
  await to.stop();
  expect(to.counts).toEqual({ exported: 0, dropped: MAX_WAITING_SPANS + 10 });
});

it('what an endpoint does not take is dropped', async () => {
  collector.reply = (res) => res.writeHead(503).end();
  const to = exporter();
  add(to, 5);
  await to.stop();
  expect(to.counts).toEqual({ exported: 0, dropped: 5 });
});

it('an endpoint that is not there is no failure of anything else', async () => {
  await collector.stop();
  const to = exporter();
  add(to, 5);
  await to.stop();
  expect(to.counts).toEqual({ exported: 0, dropped: 5 });
  collector = await startTraceCollector();
});

it('a share of the requests without a trace begin one of their own', async () => {
  const call = (traceparent: string | null) => ({
    deployment: 'x',
    startedMs: 0,
    trace: () => (traceparent === null ? null : { traceparent, tracestate: null }),
  });
  const [all, none] = [1, 0].map((sample) => new Tracer({ url: collector.url, sample }, '0', 0));
  expect(all.begin(call(null))).not.toBeNull();
  expect(all.begin(call('invalid'))).not.toBeNull();
  expect(all.begin(call(`00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`))).toBeNull();
  expect(none.begin(call(null))).toBeNull();
  expect(none.begin(call(`00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`))).not.toBeNull();
  const root = all.begin(call(null));
  root?.refused('bad_request', 'x', 1);
  await Promise.all([all.stop(), none.stop()]);
  const [span] = collector.spans();
  expect(span.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(span.parentSpanId).toBeUndefined();
});
