import { z } from 'zod';
import { Chunker, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from './chunking.ts';
import { ProtocolError } from './error.ts';
import { type Digest, digestSchema } from './ids.ts';
import { MAX_ARTIFACT_BYTES, MAX_CHUNK_INDEX_BYTES } from './limits.ts';
import { describe } from './wire.ts';

/** A smaller file is one request; its index would be another. */
export const MIN_CHUNKED_BYTES = 1024 * 1024;

const MAX_CHUNKS = Math.ceil(MAX_ARTIFACT_BYTES / MIN_CHUNK_BYTES);

const chunkSchema = z.object({
  sizeBytes: z.int().min(1).max(MAX_CHUNK_BYTES),
  digest: digestSchema,
});
export type Chunk = z.infer<typeof chunkSchema>;

/** The chunks of an artifact, in their order in the file. */
export const chunkIndexSchema = z
  .object({
    schema: z.literal(1),
    digest: digestSchema.describe('Of the whole file.'),
    sizeBytes: z.int().min(0).max(MAX_ARTIFACT_BYTES),
    chunks: z.array(chunkSchema).max(MAX_CHUNKS),
  })
  .refine(({ sizeBytes, chunks }) => sizeBytes === sizeOf(chunks), {
    message: 'the sizes of the chunks must add up to sizeBytes',
    path: ['sizeBytes'],
  });
export type ChunkIndex = z.infer<typeof chunkIndexSchema>;

/** Reads an index. Throws `ProtocolError` 'chunks': no JSON, out of bounds, or of another artifact than `digest`. */
export function parseChunkIndex(bytes: Uint8Array, digest: Digest, sizeBytes: number): ChunkIndex {
  if (bytes.length > MAX_CHUNK_INDEX_BYTES) {
    const told = `a chunk index has ${bytes.length} bytes; at most ${MAX_CHUNK_INDEX_BYTES} are read`;
    throw new ProtocolError('chunks', told);
  }
  const parsed = chunkIndexSchema.safeParse(parseJson(bytes));
  if (!parsed.success) {
    throw new ProtocolError('chunks', `the chunk index is invalid: ${describe(parsed.error)}`);
  }
  const index = parsed.data;
  if (index.digest !== digest || index.sizeBytes !== sizeBytes) {
    const is = `${index.digest} of ${index.sizeBytes} bytes`;
    throw new ProtocolError('chunks', `the index is of ${is}, not of ${digest} of ${sizeBytes}`);
  }
  return index;
}

/** What hashes chunks: Node's `createHash('sha256')`, or whoever else can. */
export interface Hasher {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

/** Cuts a file that comes in pieces, holding no more of it than one piece. */
export async function indexChunks(
  digest: Digest,
  pieces: AsyncIterable<Uint8Array>,
  newHasher: () => Hasher,
): Promise<ChunkIndex> {
  const chunker = new Chunker();
  const chunks: Chunk[] = [];
  let hasher = newHasher();
  let hashed = 0;
  const cut = (sizeBytes: number) => {
    chunks.push({ sizeBytes, digest: `sha256:${hasher.digest('hex')}` });
    hasher = newHasher();
    hashed = 0;
  };
  for await (const piece of pieces) {
    let at = 0;
    for (const size of chunker.push(piece)) {
      const end = at + size - hashed;
      hasher.update(piece.subarray(at, end));
      at = end;
      cut(size);
    }
    hasher.update(piece.subarray(at));
    hashed += piece.length - at;
  }
  const last = chunker.finish();
  if (last > 0) cut(last);
  return { schema: 1, digest, sizeBytes: sizeOf(chunks), chunks };
}

function sizeOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ProtocolError('chunks', `a chunk index of ${bytes.length} bytes is not JSON`, {
      cause,
    });
  }
}
