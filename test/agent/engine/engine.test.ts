import { request } from 'node:http';
import autocannon from 'autocannon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../../agent/engine/engine.ts';
import type { ModelFiles, ServingPlan, WindowMessage } from '../../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../../agent/engine/model/runtime-node.ts';
import { decodeWindow } from '../../../protocol/sketch/codec.ts';
import {
  describeMortgage,
  inferBody,
  mortgageRows,
  temporaryFolder,
} from '../../support/mortgage.ts';

interface InferAnswer {
  model_version: string;
  parameters: { decision_id: string; arm: string; generation: number };
  outputs: { name: string; data: number[] }[];
}

const folder = await temporaryFolder();
const windows: WindowMessage[] = [];
let engine: Engine;
let url: string;
let v1: ModelFiles;
let v2: ModelFiles;

function plan(generation: number, files: ModelFiles, version: number): ServingPlan {
  const arms = [{ arm: 'stable' as const, version, manifest: files.manifest, share: 1 }];
  const deployments = [{ name: 'mortgage', windowMs: 500, serving: {}, arms }];
  return { agent: 'agt_0123456789abcdef01234567', generation, deployments };
}

async function switchTo(generation: number, files: ModelFiles, version: number): Promise<void> {
  expect(await engine.prepare([{ files, execution: {} }])).toMatchObject([
    { manifest: files.manifest, outcome: 'ready' },
  ]);
  engine.commit(plan(generation, files, version));
}

function post(
  path: string,
  body: string | Buffer,
  headers = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const req = request(`${url}${path}`, { method: 'POST', headers }, (res) => {
      let text = '';
      res.on('data', (chunk) => {
        text += chunk;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body: text }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

const INFER = '/v2/models/mortgage/infer';

beforeAll(async () => {
  v1 = (await describeMortgage('v1', folder.path)).files;
  v2 = (await describeMortgage('v2', folder.path)).files;
  engine = new Engine({
    runtime: await createNodeRuntime(),
    ordinal: 0,
    version: '0.0.0',
    maxBodyBytes: 64 * 1024 * 1024,
    share: { engines: 1, cores: 2 },
    onWindow: (window) => windows.push(window),
  });
  url = `http://127.0.0.1:${await engine.listen('127.0.0.1', 0)}`;
  await switchTo(1, v1, 1);
}, 60_000);

afterAll(async () => {
  await engine.stop();
  await folder.remove();
});

describe('an engine', () => {
  it('answers as OIP v2, with the version, decision, arm and generation behind the answer', async () => {
    const rows = await mortgageRows('traffic');
    const { status, body } = await post(INFER, inferBody(rows.slice(0, 2), 'abc'));
    const answer = JSON.parse(body) as InferAnswer & { id: string };
    expect(status).toBe(200);
    expect(answer).toMatchObject({
      model_name: 'mortgage',
      model_version: '1',
      id: 'abc',
      parameters: { arm: 'stable', generation: 1 },
    });
    expect(answer.parameters.decision_id).toMatch(/^0123456789ab(\.[0-9a-z]+){3}$/);
    const scores = answer.outputs.find((output) => output.name === 'probabilities');
    expect(scores?.data).toHaveLength(4);
  });

  it('swaps versions under 50 connections with no failed request and no mixed answer', async () => {
    const row = (await mortgageRows('traffic'))[0];
    const body = inferBody([row]);
    const expected = new Map<string, string>();
    for (const [generation, version, files] of [
      [2, 2, v2],
      [3, 1, v1],
    ] as const) {
      await switchTo(generation, files, version);
      const answer = JSON.parse((await post(INFER, body)).body) as InferAnswer;
      expected.set(answer.model_version, JSON.stringify(answer.outputs));
    }
    expect(new Set(expected.values()).size).toBe(2);

    const seen = new Map<string, number>();
    let mixed = 0;
    let load: autocannon.Instance | undefined;
    const finished = new Promise<autocannon.Result>((resolve, reject) => {
      load = autocannon(
        {
          url: `${url}${INFER}`,
          connections: 50,
          duration: 25,
          method: 'POST',
          body,
          headers: { 'content-type': 'application/json' },
          verifyBody: (text) => {
            const answer = JSON.parse(String(text)) as InferAnswer;
            seen.set(answer.model_version, (seen.get(answer.model_version) ?? 0) + 1);
            if (expected.get(answer.model_version) !== JSON.stringify(answer.outputs)) mixed += 1;
            return true;
          },
        },
        (error, result) => (error ? reject(error) : resolve(result)),
      );
    });
    for (let generation = 10; generation < 30; generation += 1) {
      const [version, files] = generation % 2 === 0 ? [1, v1] : [2, v2];
      const before = seen.get(String(version)) ?? 0;
      await switchTo(generation, files, version);
      const answeredByNew = () => (seen.get(String(version)) ?? 0) > before + 20;
      await expect.poll(answeredByNew, { timeout: 5000, interval: 5 }).toBe(true);
    }
    load?.stop();
    const result = await finished;
    expect({
      errors: result.errors,
      timeouts: result.timeouts,
      non2xx: result.non2xx,
      mixed,
    }).toEqual({
      errors: 0,
      timeouts: 0,
      non2xx: 0,
      mixed: 0,
    });
    expect(seen.get('1')).toBeGreaterThan(200);
    expect(seen.get('2')).toBeGreaterThan(200);
  }, 30_000);

  it('counts every answered row in exactly one window', async () => {
    await switchTo(1000, v1, 1);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    windows.length = 0;
    const rows = await mortgageRows('traffic');
    let sent = 0;
    for (let at = 0; at < 300; at += 3) {
      const { status } = await post(INFER, inferBody(rows.slice(at, at + 3)));
      expect(status).toBe(200);
      sent += 3;
    }
    const counted = () => windows.reduce((sum, window) => sum + decodeWindow(window.body).rows, 0);
    await expect.poll(counted, { timeout: 3000 }).toBe(sent);
    const features = decodeWindow(windows[0].body).features;
    expect(features).toHaveLength(10);
    for (const feature of features) {
      const total = feature.counts.reduce((sum, count) => sum + count, 0);
      expect(total + feature.missing).toBe(decodeWindow(windows[0].body).rows);
    }
  });

  it.each([
    ['a body that is not JSON', '{"inputs":', 400, /not JSON/],
    [
      'NaN',
      '{"inputs":[{"name":"features","shape":[1,10],"datatype":"FP32","data":[NaN]}]}',
      400,
      /NaN/,
    ],
    ['a wrong shape', inferBody([[1, 2, 3]]), 400, /has 3 values; its shape \[1,10\] holds 10/],
    [
      'a wrong datatype',
      inferBody([[1]]).replace('FP32', 'INT64'),
      400,
      /"INT64"; the model takes FP32/,
    ],
    ['no inputs', '{}', 400, /"inputs" must be an array/],
    [
      'null',
      '{"inputs":[{"name":"features","shape":[1,10],"datatype":"FP32","data":[null,0,0,0,0,0,0,0,0,0]}]}',
      400,
      /\[0\] is null; FP32 needs a number/,
    ],
    [
      'overflow',
      '{"inputs":[{"name":"features","shape":[1,10],"datatype":"FP32","data":[1e39,0,0,0,0,0,0,0,0,0]}]}',
      400,
      /1e\+39.*3\.4028235e38/,
    ],
    [
      'a nesting bomb',
      `{"inputs":[{"name":"features","shape":[1,10],"datatype":"FP32","data":${'['.repeat(5000)}${']'.repeat(5000)}}]}`,
      400,
      /deeper than the 100 levels allowed/,
    ],
  ])('refuses %s with a clear error and lives on', async (_, body, status, message) => {
    const answer = await post(INFER, body);
    expect(answer.status).toBe(status);
    expect((JSON.parse(answer.body) as { error: string }).error).toMatch(message);
    expect((await post(INFER, inferBody([(await mortgageRows('traffic'))[0]]))).status).toBe(200);
  });

  it('refuses a body of 100 MB by its declared length, without reading it', async () => {
    const answer = await post(INFER, Buffer.alloc(1024), {
      'content-length': 100 * 1024 * 1024,
    }).catch((error: Error) => ({ status: 0, body: error.message }));
    expect(answer.status).toBe(413);
    expect(answer.body).toContain('104857600 bytes exceeds the 67108864 allowed');
  });

  it('answers 404 for an unknown model or version and 405 for the wrong verb', async () => {
    expect((await post('/v2/models/nope/infer', '{}')).status).toBe(404);
    expect((await post('/v2/models/mortgage/versions/9/infer', '{}')).status).toBe(404);
    const get = await fetch(`${url}${INFER}`);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await fetch(`${url}/v2/nothing`)).status).toBe(404);
  });

  it('describes itself and its models', async () => {
    expect(await (await fetch(`${url}/v2`)).json()).toMatchObject({ name: 'driftline' });
    expect(await (await fetch(`${url}/v2/health/ready`)).json()).toEqual({ ready: true });
    expect(await (await fetch(`${url}/v2/models/mortgage`)).json()).toMatchObject({
      name: 'mortgage',
      versions: ['1'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 10] }],
    });
  });

  it('refuses a version whose golden vectors differ here, and serves on', async () => {
    const mixed = { ...v1, modelPath: v2.modelPath, manifest: `sha256:${'f'.repeat(64)}` };
    const [outcome] = await engine.prepare([{ files: mixed, execution: {} }]);
    expect(outcome).toMatchObject({ outcome: 'refused', code: 'golden-mismatch' });
    expect((await post(INFER, inferBody([(await mortgageRows('traffic'))[0]]))).status).toBe(200);
  });
});
