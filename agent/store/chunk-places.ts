import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import {
  type ChunkIndex,
  indexChunks,
  MIN_CHUNKED_BYTES,
  parseChunkIndex,
} from '../../protocol/chunk-index.ts';
import { ProtocolError } from '../../protocol/error.ts';
import type { Digest } from '../../protocol/ids.ts';
import { type Disk, replaceFile } from './disk.ts';
import type { StoredFile } from './inventory.ts';

/** Where on this host a chunk lies. */
export interface ChunkPlace {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Earlier versions of a model, and a few of its neighbours. Each may have to be read and cut. */
const MAX_BASES = 8;

/** Where chunks of `wanted` lie in artifacts that this host has, those used last first. */
export async function findChunks(
  disk: Disk,
  files: readonly StoredFile[],
  wanted: ChunkIndex,
): Promise<Map<Digest, ChunkPlace>> {
  const digests = new Set(wanted.chunks.map(({ digest }) => digest));
  const places = new Map<Digest, ChunkPlace>();
  const bases = files
    .filter(({ kind, sizeBytes }) => kind === 'whole' && sizeBytes >= MIN_CHUNKED_BYTES)
    .sort((a, b) => b.modifiedMs - a.modifiedMs)
    .slice(0, MAX_BASES);
  for (const { path, digest, sizeBytes } of bases) {
    const [index] = await Promise.allSettled([indexOf(disk, path, digest, sizeBytes)]);
    // One that can't be read, or whose index finds no room, saves nothing: that is no reason to fail.
    if (index.status === 'rejected') continue;
    let offset = 0;
    for (const chunk of index.value.chunks) {
      if (digests.has(chunk.digest) && !places.has(chunk.digest)) {
        places.set(chunk.digest, { path, offset, sizeBytes: chunk.sizeBytes });
      }
      offset += chunk.sizeBytes;
    }
  }
  return places;
}

/** The index beside an artifact. It is made where it is missing or rotten: of a file that came whole there is none. */
async function indexOf(
  disk: Disk,
  path: string,
  digest: Digest,
  sizeBytes: number,
): Promise<ChunkIndex> {
  const bytes = await disk.read(`${path}.chunks`);
  try {
    if (bytes !== null) return parseChunkIndex(bytes, digest, sizeBytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  const index = await indexChunks(digest, disk.pieces(path), () => createHash('sha256'));
  await keepIndex(disk, path, index);
  return index;
}

/** Puts an index beside the artifact that is, or will be, at `path`. */
export async function keepIndex(disk: Disk, path: string, index: ChunkIndex): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(index));
  await replaceFile(disk, dirname(path), `${basename(path)}.chunks`, bytes);
}
