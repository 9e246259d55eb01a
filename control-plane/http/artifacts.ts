import { Readable } from 'node:stream';
import type { Context } from 'hono';
import { z } from 'zod';
import { MIN_CHUNKED_BYTES } from '../../protocol/chunk-index.ts';
import { type Digest, digestSchema } from '../../protocol/ids.ts';
import { record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import { insertArtifact } from '../store/artifacts.ts';
import type { Blobs } from '../store/blobs.ts';
import { ChunkIndexes } from '../store/chunk-indexes.ts';
import type { Store } from '../store/database.ts';
import { type Api, answers } from './api.ts';
import { artifactParams, FILE, mountChunks, mountFile } from './artifact-download.ts';
import type { Caller, HttpEnv } from './auth.ts';
import { parseContentRange } from './byte-range.ts';
import type { DownloadSlots } from './download-slots.ts';

export interface ArtifactDeps {
  readonly store: Store;
  readonly blobs: Blobs;
  /** Whom files are sent to at the same time. */
  readonly downloads: DownloadSlots;
  readonly now: () => number;
}

const storedSchema = z.object({ digest: digestSchema, sizeBytes: z.int() });

export function mountArtifacts(api: Api, deps: ArtifactDeps): void {
  const indexes = new ChunkIndexes(deps.blobs);
  mountUpload(api, deps, indexes);
  mountFile(api, deps);
  mountChunks(api, deps, indexes);
}

function mountUpload(api: Api, deps: ArtifactDeps, indexes: ChunkIndexes): void {
  api.route(
    'artifact:write',
    {
      method: 'put',
      path: '/api/v1/artifacts/{digest}',
      summary: 'Upload a file; with Content-Range, continue where HEAD said (Upload-Offset)',
      request: { params: artifactParams, body: { content: FILE } },
      responses: {
        200: answers(storedSchema, 'It was here already'),
        201: answers(storedSchema, 'Complete and verified'),
        202: answers(z.object({ offset: z.int() }), 'More bytes are needed'),
      },
    },
    async (c) => {
      const { digest } = c.req.valid('param');
      const done = await upload(deps, c, digest);
      const size = await deps.blobs.size(digest);
      if (size === null) {
        const offset = await deps.blobs.offset(digest);
        return c.json({ offset }, 202, { 'upload-offset': String(offset) });
      }
      // Now, and not when a wave of hosts waits for it.
      if (size >= MIN_CHUNKED_BYTES) await indexes.ensure(digest, size);
      await register(deps, digest, size, c.get('caller'));
      return c.json({ digest, sizeBytes: size }, done === 'present' ? 200 : 201);
    },
  );
}

async function upload(
  deps: ArtifactDeps,
  c: Context<HttpEnv>,
  digest: Digest,
): Promise<'present' | 'appended'> {
  if ((await deps.blobs.size(digest)) !== null) return 'present';
  const header = c.req.header('content-range');
  const length = c.req.header('content-length');
  const body = c.req.raw.body;
  const chunks = body === null ? nothing() : readBody(body);
  if (header === undefined) {
    await deps.blobs.append(digest, chunks, 0, length === undefined ? null : Number(length));
    return 'appended';
  }
  const { first, last, total } = parseContentRange(header);
  if (length !== undefined && Number(length) !== last - first + 1) {
    throw new ControlError('range', `"${header}" does not fit a body of ${length} bytes`);
  }
  await deps.blobs.append(digest, chunks, first, total);
  return 'appended';
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* readBody(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* Readable.fromWeb(body as import('node:stream/web').ReadableStream);
  } catch (cause) {
    // The client went away; what has arrived is kept, and HEAD tells how much.
    throw new ControlError('invalid', 'the upload broke off; continue at Upload-Offset', { cause });
  }
}

async function register(
  deps: ArtifactDeps,
  digest: Digest,
  sizeBytes: number,
  caller: Caller,
): Promise<void> {
  const now = deps.now();
  await deps.store.write(async (tx) => {
    const row = { digest, sizeBytes, createdAt: now, createdBy: caller.actor };
    if (!(await insertArtifact(tx, row))) return;
    await record(tx, now, caller.actor, 'artifact.stored', `artifact:${digest}`, { sizeBytes });
  });
}
