import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../../agent/error.ts';
import { ArtifactStore } from '../../../agent/store/artifacts.ts';
import { manifestOf } from '../../protocol/documents.ts';

const never = new AbortController().signal;
const digestOf = (bytes: Uint8Array) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const model = Buffer.from('the bytes of a model');
const golden = Buffer.from('{"schema":1}');
const file = (role: 'model' | 'pipeline' | 'golden', bytes: Buffer) => ({
  role,
  digest: digestOf(bytes),
  sizeBytes: bytes.length,
});
const document = (files: ReturnType<typeof file>[]) =>
  Buffer.from(JSON.stringify(manifestOf({ files })));
const manifest = document([file('model', model), file('golden', golden)]);

const served = new Map<string, Buffer>();
const put = (...blobs: Buffer[]) => {
  for (const bytes of blobs) served.set(digestOf(bytes), bytes);
};
let asked = 0;
const server = createServer((req, res) => {
  asked += 1;
  const bytes = served.get(decodeURIComponent(req.url?.split('/').at(-1) ?? ''));
  if (bytes === undefined) res.writeHead(404).end();
  else res.writeHead(200).end(bytes);
});
let source: { url: string; token: string };
let folder: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  source = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: '' };
});
afterAll(() => server.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'artifacts-'));
  served.clear();
  put(model, golden, manifest);
  asked = 0;
});
afterEach(() => rm(folder, { recursive: true }));

async function codeOf(store: ArtifactStore, digest: string, from: typeof source | null) {
  try {
    await store.ensure(digest, from, never);
    return 'ready';
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

describe('the artifact store', () => {
  it('ARTIFACT-1: fetches what the manifest lists, once, under the names of their digests', async () => {
    const store = new ArtifactStore(folder);
    const files = await store.ensure(digestOf(manifest), source, never);
    expect(await readFile(files.modelPath)).toEqual(model);
    expect(files.modelPath.endsWith(digestOf(model).slice(7))).toBe(true);
    expect(files.profilePath).toBeNull();
    expect(files.goldenPath).not.toBeNull();
    await store.ensure(digestOf(manifest), source, never);
    expect(asked).toBe(3);
  });

  it('ARTIFACT-7: has one download of what two callers want at once', async () => {
    const store = new ArtifactStore(folder);
    const both = [1, 2].map(() => store.ensure(digestOf(manifest), source, never));
    const [first, second] = await Promise.all(both);
    expect(second).toEqual(first);
    expect(asked).toBe(3);
  });

  it('MANIFEST-3: gives the graph of a pipeline where the model of others is', async () => {
    const graph = Buffer.from('{"schema":1,"nodes":{}}');
    const listing = document([file('pipeline', graph)]);
    put(graph, listing);
    const files = await new ArtifactStore(folder).ensure(digestOf(listing), source, never);
    expect(await readFile(files.modelPath)).toEqual(graph);
    const empty = document([file('golden', golden)]);
    put(empty);
    expect(await codeOf(new ArtifactStore(folder), digestOf(empty), source)).toBe(
      'manifest-invalid',
    );
  });

  it('ARTIFACT-4: needs no control plane for what is on disk, also after a restart', async () => {
    await new ArtifactStore(folder).ensure(digestOf(manifest), source, never);
    expect(await codeOf(new ArtifactStore(folder), digestOf(manifest), null)).toBe('ready');
    expect(await codeOf(new ArtifactStore(folder), digestOf(model), null)).toBe('manifest-invalid');
    expect(asked).toBe(3);
  });

  it('ARTIFACT-4: finds after a restart what was changed on disk, and fetches it anew', async () => {
    const { modelPath } = await new ArtifactStore(folder).ensure(digestOf(manifest), source, never);
    await writeFile(modelPath, 'something else');
    expect(await codeOf(new ArtifactStore(folder), digestOf(manifest), null)).toBe(
      'artifact-corrupt',
    );
    // Said once: a rotten disk is no reason to refuse the version for good.
    expect(await codeOf(new ArtifactStore(folder), digestOf(manifest), null)).toBe(
      'artifact-unavailable',
    );
    expect(await codeOf(new ArtifactStore(folder), digestOf(manifest), source)).toBe('ready');
    expect(await readFile(modelPath)).toEqual(model);
  });

  it('ARTIFACT-4: says that something is not here when nobody can be asked', async () => {
    expect(await codeOf(new ArtifactStore(folder), digestOf(manifest), null)).toBe(
      'artifact-unavailable',
    );
    served.delete(digestOf(model));
    expect(await codeOf(new ArtifactStore(folder), digestOf(manifest), source)).toBe(
      'artifact-unavailable',
    );
  });

  it('ARTIFACT-3: refuses a file of another size than the manifest states', async () => {
    const lying = document([{ ...file('model', model), sizeBytes: model.length - 1 }]);
    put(lying);
    expect(await codeOf(new ArtifactStore(folder), digestOf(lying), source)).toBe(
      'artifact-corrupt',
    );
  });

  it('MANIFEST-1: refuses a manifest that is none, or lists no model', async () => {
    const text = Buffer.from('{"schema":1}');
    const empty = document([file('golden', golden)]);
    put(text, empty);
    for (const bytes of [text, empty]) {
      expect(await codeOf(new ArtifactStore(folder), digestOf(bytes), source)).toBe(
        'manifest-invalid',
      );
    }
  });
});
