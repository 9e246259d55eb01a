import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { type OipEngine, startOipEngine } from '../support/oip-engine.ts';
import { identityModel } from '../support/onnx-builder.ts';
import { startTraceCollector, type TraceCollector } from '../support/trace-collector.ts';
import { INSTALL_HOOK_TIMEOUT_MS } from './support/python-checks.ts';
import { pythonVenv } from './support/python-venv.ts';
import { skipWithout } from './support/require.ts';

const SCRIPT = resolve(import.meta.dirname, 'python/otlp_traces.py');
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

interface ReadSpan {
  readonly name: string;
  readonly span: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

async function ask(engine: OipEngine, shape: number[]): Promise<void> {
  const inputs = [{ name: 'x', datatype: 'FP32', shape, data: [1, 2] }];
  await fetch(`${engine.url}/v2/models/plain/infer`, {
    method: 'POST',
    headers: { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'a=1' },
    body: JSON.stringify({ inputs }),
  });
}

async function readSpans(python: string, collector: TraceCollector): Promise<ReadSpan[]> {
  const reader = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'pipe'] });
  reader.stdin.end(collector.bodies.join('\n'));
  const [out, errors, [code]] = await Promise.all([
    text(reader.stdout),
    text(reader.stderr),
    once(reader, 'close'),
  ]);
  if (code !== 0) throw new Error(errors);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ReadSpan);
}

it(
  "OpenTelemetry's own classes read our spans, with nothing left over",
  async (context) => {
    const venv = await pythonVenv('traces');
    if (venv.kind === 'missing') return skipWithout(context, venv.reason);
    const collector = await startTraceCollector();
    const model = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]);
    const traces = { url: collector.url, sample: 0 };
    const engine = await startOipEngine({ plain: model }, 1e6, {}, { traces });
    await ask(engine, [2, 1]);
    await ask(engine, [3, 1]);
    await engine.stop();
    const spans = await readSpans(venv.python, collector);
    await collector.stop();

    const common = { service: 'driftline-agent', scope: 'driftline', trace: TRACE, state: 'a=1' };
    expect(spans.map(({ name }) => name)).toEqual([
      'queue',
      'compute',
      'infer plain',
      'infer plain',
    ]);
    const [queue, compute, infer, refused] = spans;
    // Kinds, codes and flags by number: internal 1, server 2, error 2, parent known to be local or remote.
    expect(infer).toMatchObject({ ...common, parent: PARENT, kind: 2, flags: 0x301, status: 0 });
    expect(infer.attributes).toMatchObject({ 'driftline.version': 1, 'driftline.rows': 2 });
    for (const child of [queue, compute]) {
      expect(child).toMatchObject({ ...common, parent: infer.span, kind: 1, flags: 0x101 });
    }
    expect(refused).toMatchObject({ ...common, parent: PARENT, status: 2 });
    expect(refused.attributes['error.type']).toBe('bad_request');
  },
  INSTALL_HOOK_TIMEOUT_MS,
);
