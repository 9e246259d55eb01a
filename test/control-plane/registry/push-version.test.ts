import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../../protocol/manifest.ts';
import { encodeProfile, windowGrids } from '../../../protocol/profile.ts';
import { emptyWindow } from '../../../protocol/sketch/window.ts';
import {
  ControlApp,
  digestOf,
  exampleManifest,
  exampleModel,
  jsonBytes,
} from '../../support/control-app.ts';

let app: ControlApp;
let model: Uint8Array;
let good: Manifest;

beforeAll(async () => {
  app = await ControlApp.open();
  model = await exampleModel('v1');
  good = await exampleManifest(model);
  await app.upload(model);
});

afterAll(() => app.close());

async function push(manifest: unknown, name = 'mortgage') {
  const digest = await app.upload(jsonBytes(manifest));
  const path = `/api/v1/models/${name}/versions`;
  const response = await app.ask('POST', path, { json: { manifest: digest } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function fileOf(role: Manifest['files'][number]['role'], bytes: Uint8Array) {
  return { role, digest: await app.upload(bytes), sizeBytes: bytes.length };
}

test('a good version gets number 1, and the same manifest again the same number', async () => {
  expect(await push(good)).toMatchObject({ status: 201, body: { model: 'mortgage', version: 1 } });
  expect(await push(good)).toMatchObject({ status: 200, body: { version: 1 } });
  expect(await push({ ...good, task: 'other' })).toMatchObject({
    status: 201,
    body: { version: 2 },
  });
  const shown = await app.ask('GET', '/api/v1/models/mortgage/versions/1');
  expect(await shown.json()).toMatchObject({ document: good, createdBy: 'token:admin' });
});

test('a version with a profile of its features is taken', async () => {
  const grids = windowGrids(good, null);
  const names = good.features.map((feature) => feature.name);
  const features = grids.features.map((grid, at) => ({ name: names[at] ?? '', grid }));
  const reference = emptyWindow(grids);
  const profile = { rows: 1, features, prediction: grids.prediction, reference };
  const fits = await fileOf('profile', encodeProfile(profile));
  expect(await push({ ...good, files: [...good.files, fits] })).toMatchObject({ status: 201 });
  const renamed = [{ ...features[0], name: 'other', grid: features[0]?.grid ?? grids.prediction }];
  const other = await fileOf(
    'profile',
    encodeProfile({ ...profile, features: [...renamed, ...features.slice(1)] }),
  );
  const refused = await push({ ...good, files: [...good.files, other] });
  expect(refused).toMatchObject({ status: 422, body: { kind: 'model-refused' } });
  expect(refused.body.detail).toContain('does not match the manifest');
});

test.each<[string, (m: Manifest) => unknown | Promise<unknown>, string, string]>([
  ['not a manifest', () => ({ hello: 1 }), 'model-refused', 'the manifest is invalid'],
  ['of another model', (m) => ({ ...m, model: 'churn' }), 'model-refused', '"churn"'],
  [
    'a file that is not here',
    (m) => ({ ...m, files: [{ ...m.files[0], digest: digestOf(new Uint8Array([9])) }] }),
    'artifact-missing',
    'has not been uploaded',
  ],
  [
    'a file of another size',
    (m) => ({ ...m, files: [{ ...m.files[0], sizeBytes: 17 }] }),
    'model-refused',
    'has 17 bytes',
  ],
  [
    'a role twice',
    (m) => ({ ...m, files: [...m.files, ...m.files] }),
    'model-refused',
    'two files',
  ],
  [
    'not ONNX',
    async (m) => ({ ...m, files: [await fileOf('model', jsonBytes('no model'))] }),
    'model-refused',
    '',
  ],
  [
    'a truncated model',
    async (m) => ({ ...m, files: [await fileOf('model', model.slice(0, 9000))] }),
    'model-refused',
    '',
  ],
  [
    'weights in a second file',
    async (m) => ({ ...m, files: [await fileOf('model', externalModel())] }),
    'model-refused',
    'external data',
  ],
  ['other inputs', (m) => ({ ...m, inputs: [] }), 'model-refused', 'do not match the model'],
  [
    'a feature beyond the row',
    (m) => ({ ...m, features: [{ name: 'x', tensor: 'features', index: 10, kind: 'numeric' }] }),
    'model-refused',
    '0 to 9',
  ],
  [
    'a profile that is none',
    async (m) => ({ ...m, files: [...m.files, await fileOf('profile', jsonBytes([]))] }),
    'model-refused',
    'profile',
  ],
])('refused: %s', async (_, change, kind, words) => {
  const { status, body } = await push(await change(good));
  expect({ status, kind: body.kind }).toEqual({ status: 422, kind });
  expect(body.detail).toContain(words);
});

test('a manifest that was never uploaded is refused by its digest', async () => {
  const manifest = digestOf(jsonBytes('nowhere'));
  const response = await app.ask('POST', '/api/v1/models/mortgage/versions', {
    json: { manifest },
  });
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ kind: 'artifact-missing' });
});

/** ir_version 8; a graph with one initializer whose data_location is EXTERNAL (onnx.proto: 14 = 1). */
function externalModel(): Uint8Array {
  const field = (number: number, bytes: number[]) => [number * 8 + 2, bytes.length, ...bytes];
  const initializer = field(5, [14 * 8, 1]);
  return new Uint8Array([8, 8, ...field(7, initializer)]);
}
