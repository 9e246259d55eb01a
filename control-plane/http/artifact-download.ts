import type { Context } from 'hono';
import { z } from 'zod';
import { chunkIndexSchema } from '../../protocol/chunk-index.ts';
import { desiredDeploymentSchema } from '../../protocol/desired.ts';
import { type Digest, digestSchema } from '../../protocol/ids.ts';
import { ControlError } from '../error.ts';
import type { Blobs } from '../store/blobs.ts';
import type { ChunkIndexes } from '../store/chunk-indexes.ts';
import type { Store } from '../store/database.ts';
import { findDesired } from '../store/desired.ts';
import { findVersionsByManifest } from '../store/models.ts';
import type { Api } from './api.ts';
import type { ArtifactDeps } from './artifacts.ts';
import type { Caller, HttpEnv } from './auth.ts';
import { parseRange } from './byte-range.ts';
import { slottedBody } from './slotted-body.ts';

export const artifactParams = z.object({ digest: digestSchema });
/** Bytes, as OpenAPI says it. */
export const FILE = {
  'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) },
};
const IMMUTABLE = 'private, max-age=31536000, immutable';

/** Sent from the disk as it is: the handler has no value to give that the schema would type. */
const INDEX: Record<string, { schema: z.ZodType }> = {
  'application/json': { schema: chunkIndexSchema },
};

export function mountFile(api: Api, deps: ArtifactDeps): void {
  api.route(
    'artifact:read',
    {
      method: 'get',
      path: '/api/v1/artifacts/{digest}',
      summary: 'A file, or with Range a part of it; HEAD tells size or, with 404, Upload-Offset',
      request: { params: artifactParams },
      responses: {
        200: { description: 'The file', content: FILE },
        206: { description: 'The part asked for', content: FILE },
        304: { description: 'The file is the one named by If-None-Match' },
      },
    },
    (c) => {
      const { digest } = c.req.valid('param');
      return inSlot(deps, c, digest, (release) => download(deps.blobs, c, digest, release));
    },
  );
}

export function mountChunks(api: Api, deps: ArtifactDeps, indexes: ChunkIndexes): void {
  api.route(
    'artifact:read',
    {
      method: 'get',
      path: '/api/v1/artifacts/{digest}/chunks',
      summary:
        'How a file is cut into chunks: whoever has some of them asks for the others by Range',
      request: { params: artifactParams },
      responses: { 200: { description: 'Its chunks, in their order in the file', content: INDEX } },
    },
    (c) => {
      const { digest } = c.req.valid('param');
      return inSlot(deps, c, digest, (release) =>
        sendIndex(deps.blobs, indexes, c, digest, release),
      );
    },
  );
}

/**
 * Answers with bytes when a slot is free. Before anything is looked up: in a wave most who ask are told to come back, and
 * that has to cost next to nothing.
 */
async function inSlot(
  { downloads, store, now }: ArtifactDeps,
  c: Context<HttpEnv>,
  digest: Digest,
  answer: (release: () => void) => Promise<Response>,
): Promise<Response> {
  const caller = c.get('caller');
  const slot =
    caller.role === 'agent'
      ? downloads.take(caller.actor, now())
      : downloads.takeAnyway(caller.actor);
  if (slot.kind === 'busy') {
    c.set('problemHeaders', { 'retry-after': String(slot.retryAfterS) });
    const told = `${downloads.active} downloads are under way; come back in ${slot.retryAfterS} s`;
    throw new ControlError('unavailable', told);
  }
  const release = () => slot.release(now());
  try {
    await requireInScope(store, caller, digest);
    const response = await answer(release);
    if (response.body === null) release();
    return response;
  } catch (error) {
    release();
    throw error;
  }
}

/** An agent reads what its desired state names and no other customer of this control plane's files. */
async function requireInScope(store: Store, caller: Caller, digest: Digest): Promise<void> {
  if (caller.role !== 'agent') return;
  const { agent } = caller;
  const row = await findDesired(store.read, agent);
  const manifests = row === null ? [] : manifestsIn(row.deployments);
  if (manifests.includes(digest)) return;
  const versions = await findVersionsByManifest(store.read, manifests);
  const files = versions.flatMap((version) => version.document.files);
  if (files.some((file) => file.digest === digest)) return;
  throw new ControlError('forbidden', `${digest} belongs to no version that ${agent} should run`);
}

function manifestsIn(deployments: string): Digest[] {
  const wanted = z.array(desiredDeploymentSchema).parse(JSON.parse(deployments));
  return wanted.flatMap((deployment) => deployment.arms.map((arm) => arm.manifest));
}

/** Bytes of a file that is complete; HEAD of one that isn't tells how far it is. */
async function requireComplete(blobs: Blobs, c: Context<HttpEnv>, digest: Digest): Promise<number> {
  const size = await blobs.size(digest);
  if (size !== null) return size;
  c.set('problemHeaders', { 'upload-offset': String(await blobs.offset(digest)) });
  throw new ControlError('not-found', `${digest} is not here, or its upload is not complete`);
}

async function download(
  blobs: Blobs,
  c: Context<HttpEnv>,
  digest: Digest,
  release: () => void,
): Promise<Response> {
  const size = await requireComplete(blobs, c, digest);
  const etag = `"${digest}"`;
  c.header('accept-ranges', 'bytes');
  c.header('etag', etag);
  c.header('cache-control', IMMUTABLE);
  if (c.req.header('if-none-match') === etag) return c.body(null, 304);
  c.header('content-type', 'application/octet-stream');
  c.header('content-disposition', 'attachment');
  c.set('problemHeaders', { 'content-range': `bytes */${size}` });
  const range = parseRange(c.req.header('range'), size);
  const { first, last } = range ?? { first: 0, last: size - 1 };
  c.header('content-length', String(last - first + 1));
  if (range !== null) c.header('content-range', `bytes ${first}-${last}/${size}`);
  const status = range === null ? 200 : 206;
  if (c.req.method === 'HEAD') return c.body(null, status);
  return c.body(slottedBody(blobs.stream(digest, first, last), release), status);
}

async function sendIndex(
  blobs: Blobs,
  indexes: ChunkIndexes,
  c: Context<HttpEnv>,
  digest: Digest,
  release: () => void,
): Promise<Response> {
  const size = await requireComplete(blobs, c, digest);
  c.header('cache-control', IMMUTABLE);
  c.header('content-type', 'application/json');
  c.header('content-length', String(await indexes.ensure(digest, size)));
  if (c.req.method === 'HEAD') return c.body(null, 200);
  return c.body(slottedBody(blobs.streamIndex(digest), release), 200);
}
