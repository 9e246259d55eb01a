import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../../../protocol/manifest.ts';
import { parsePipelineDocument } from '../../../protocol/pipeline/document.ts';
import { bytesOf, documentOf, step } from '../../protocol/pipeline/documents.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

let app: ControlApp;
const graph = documentOf({ main: step('first', ['x'], ['y']) });
const both = documentOf({
  main: { kind: 'sequence', nodes: ['one', 'two'] },
  one: step('first', ['x'], ['z']),
  two: step('loans', ['z'], ['y']),
});

beforeAll(async () => {
  app = await ControlApp.open();
  await pushExample(app, 'v1');
});
afterAll(() => app.close());

async function manifestOf(document: object, fields: Partial<Manifest> = {}): Promise<Manifest> {
  const bytes = bytesOf(document);
  const { inputs, outputs } = parsePipelineDocument(bytes);
  return {
    ...{ schema: 1, model: 'graph', task: 'other', features: [], groups: [], prediction: null },
    files: [{ role: 'pipeline', digest: await app.upload(bytes), sizeBytes: bytes.length }],
    ...{ inputs, outputs, steps: ['first'], ...fields },
  };
}

async function push(manifest: unknown) {
  const digest = await app.upload(bytesOf(manifest));
  const response = await app.ask('POST', '/api/v1/models/graph/versions', {
    json: { manifest: digest },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function deploy(name: string, model: string, version: number) {
  const response = await app.ask('PUT', `/api/v1/deployments/${name}`, {
    json: { model, version },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('a pipeline at the control plane', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    [
      'tensors that are not the graph’s',
      () => manifestOf(graph, { outputs: [{ name: 'q', datatype: 'FP32', shape: [1] }] }),
      'outputs do not match',
    ],
    [
      'other steps',
      () => manifestOf(graph, { steps: ['second'] }),
      'steps are second; the pipeline calls first',
    ],
    ['no steps', () => manifestOf(graph, { steps: undefined }), 'steps are not given'],
    [
      'a feature that is not there',
      () =>
        manifestOf(graph, { features: [{ name: 'f', tensor: 'x', index: 3, kind: 'numeric' }] }),
      'index 3',
    ],
    [
      'a golden file',
      async () => {
        const manifest = await manifestOf(graph);
        return {
          ...manifest,
          files: [...manifest.files, { ...manifest.files[0], role: 'golden' }],
        };
      },
      'a golden file beside a pipeline',
    ],
    [
      'a graph with a hole',
      async () => {
        const bytes = bytesOf(documentOf({ main: step('first', ['q']) }));
        const file = { role: 'pipeline', digest: await app.upload(bytes), sizeBytes: bytes.length };
        return { ...(await manifestOf(graph)), files: [file] };
      },
      'reads "q" before it is written',
    ],
  ])('PIPELINE-40: is refused with %s', async (_, manifest, detail) => {
    const { status, body } = await push(await manifest());
    expect({ status, kind: body.kind }).toEqual({ status: 422, kind: 'model-refused' });
    expect(body.detail).toContain(detail);
  });

  it('PIPELINE-41: is deployed once its steps are, and never as one of them', async () => {
    expect(await push(await manifestOf(graph))).toMatchObject({
      status: 201,
      body: { version: 1 },
    });
    expect(await push(await manifestOf(both, { steps: ['first', 'loans'] }))).toMatchObject({
      status: 201,
      body: { version: 2 },
    });
    const early = await deploy('scored', 'graph', 2);
    expect(early).toMatchObject({ status: 409, body: { kind: 'conflict' } });
    expect(early.body.detail).toContain('"first", "loans"; deploy them first');
    expect(await deploy('first', 'mortgage', 1)).toMatchObject({ status: 201 });
    expect(await deploy('scored', 'graph', 1)).toMatchObject({ status: 201 });
    const itself = await deploy('first', 'graph', 1);
    expect(itself.body.detail).toContain('would call itself');
  });

  it('PIPELINE-42: is rolled out under the same condition', async () => {
    const rollout = () =>
      app.ask('POST', '/api/v1/deployments/scored/rollouts', {
        json: { version: 2, canary: { agents: 1 } },
      });
    const early = await rollout();
    expect(early.status).toBe(409);
    expect(((await early.json()) as { detail: string }).detail).toContain('"loans"');
    expect(await deploy('loans', 'mortgage', 1)).toMatchObject({ status: 201 });
    expect((await rollout()).status).toBe(201);
  });

  it('PIPELINE-43: is not tuned, its steps are', async () => {
    const response = await app.ask('POST', '/api/v1/deployments/scored/tune', { json: {} });
    expect(response.status).toBe(409);
    expect(((await response.json()) as { detail: string }).detail).toContain('its steps: first');
  });
});
