import { type Chunk, type ChunkIndex, parseChunkIndex } from '../../protocol/chunk-index.ts';
import { ProtocolError } from '../../protocol/error.ts';
import type { Digest } from '../../protocol/ids.ts';
import { MAX_CHUNK_INDEX_BYTES } from '../../protocol/limits.ts';
import { Refusal } from '../error.ts';
import type { ChunkPlace } from './chunk-places.ts';
import { ChunkReader } from './chunk-reader.ts';
import { digestOf, digestOfFile } from './digest.ts';
import type { Download } from './fetch.ts';
import { PartFile } from './part-file.ts';
import { AnsweredOtherwise, ask } from './request.ts';

/** Chunks that are here already are downloaded again where they are fewer bytes than another request is worth. */
const MAX_GAP_BYTES = 96 * 1024;
/** A chunk with other bytes than its digest may be the fault of the way, once. */
const MAX_WRONG_CHUNKS = 1;

/** How a file is cut; null: the control plane can't say, or says what can't be. Throws `Refusal` as `ask` does. */
export async function fetchChunkIndex(
  download: Download,
  sizeBytes: number,
): Promise<ChunkIndex | null> {
  try {
    const answer = await ask({ ...download, part: '/chunks', range: null });
    const pieces: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const piece of answer.body) {
        pieces.push(piece);
        length += piece.length;
        if (length > MAX_CHUNK_INDEX_BYTES) return null;
      }
    } finally {
      answer.close();
    }
    return parseChunkIndex(Buffer.concat(pieces), download.digest, sizeBytes);
  } catch (error) {
    // One that is older knows no chunks.
    if (error instanceof ProtocolError || error instanceof AnsweredOtherwise) return null;
    throw error;
  }
}

/**
 * Puts a file together from chunks that are here, by `places`, and those that are not, which it downloads. A part of an
 * earlier attempt is kept as far as its chunks are right. Resolves with whether the file has its digest; without it the
 * index is wrong, or its bytes are, and the part is removed. Throws `Refusal` 'artifact-unavailable', with the chunks
 * that have come kept, and whatever the disk throws.
 */
export async function fetchChunks(
  download: Download,
  index: ChunkIndex,
  places: Map<Digest, ChunkPlace>,
): Promise<boolean> {
  const { disk, partPath, digest } = download;
  const part = await PartFile.open(disk, partPath);
  try {
    const assembly = new Assembly(download, index.chunks, places, part);
    await assembly.resume();
    const isWhole = await assembly.run();
    await part.sync();
    if (isWhole && (await digestOfFile(disk, partPath)) === digest) return true;
  } finally {
    await part.close();
  }
  await disk.remove(partPath);
  return false;
}

/** One file that is put together. `at` counts chunks: those before it are in the part, and are right. */
class Assembly {
  readonly #download: Download;
  readonly #chunks: readonly Chunk[];
  readonly #places: Map<Digest, ChunkPlace>;
  readonly #part: PartFile;
  #at = 0;
  #wrong = 0;

  constructor(
    download: Download,
    chunks: readonly Chunk[],
    places: Map<Digest, ChunkPlace>,
    part: PartFile,
  ) {
    this.#download = download;
    this.#chunks = chunks;
    this.#places = places;
    this.#part = part;
  }

  /** Keeps what an earlier attempt has brought, as far as it is right. */
  async resume(): Promise<void> {
    let offset = 0;
    for (const chunk of this.#chunks) {
      if (offset + chunk.sizeBytes > this.#part.sizeBytes) break;
      const bytes = await this.#part.readRange(offset, chunk.sizeBytes);
      if (digestOf(bytes) !== chunk.digest) break;
      this.#took(chunk, offset);
      offset += chunk.sizeBytes;
    }
    await this.#part.cut(offset);
  }

  /** False: chunks came with other bytes than the index says, more often than a network explains. */
  async run(): Promise<boolean> {
    while (this.#at < this.#chunks.length) {
      this.#download.signal.throwIfAborted();
      const chunk = this.#chunks[this.#at];
      const place = this.#places.get(chunk.digest);
      if (place !== undefined) await this.#copy(chunk, place);
      else if (!(await this.#receive(runEnd(this.#chunks, this.#at, this.#places)))) {
        this.#wrong += 1;
        if (this.#wrong > MAX_WRONG_CHUNKS) return false;
      }
    }
    return true;
  }

  async #copy(chunk: Chunk, place: ChunkPlace): Promise<void> {
    const { disk } = this.#download;
    const read = disk.readRange(place.path, place.offset, place.sizeBytes);
    const [outcome] = await Promise.allSettled([read]);
    // The disk has rotted there, or the file is gone: the next turn downloads the chunk.
    if (outcome.status === 'rejected' || digestOf(outcome.value) !== chunk.digest) {
      this.#places.delete(chunk.digest);
    } else await this.#append(chunk, outcome.value);
  }

  /** Downloads the chunks before `end` with one request. False: one of them was wrong, and none behind it was taken. */
  async #receive(end: number): Promise<boolean> {
    const wanted = this.#chunks.slice(this.#at, end);
    const first = this.#part.sizeBytes;
    const last = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, first) - 1;
    const answer = await ask({ ...this.#download, part: '', range: { first, last } });
    try {
      const reader = new ChunkReader(answer.body, first - answer.start);
      for (const chunk of wanted) {
        const bytes = await reader.read(chunk.sizeBytes);
        if (bytes.length < chunk.sizeBytes) throw this.#endedEarly(last);
        if (digestOf(bytes) !== chunk.digest) return false;
        await this.#append(chunk, bytes);
        await this.#download.pace?.(bytes.length);
      }
      // A body that was read to its end leaves a connection that the next request can use.
      if (answer.end === last + 1) await reader.read(1);
      return true;
    } finally {
      answer.close();
    }
  }

  #endedEarly(last: number): Refusal {
    const told = `ended after ${this.#part.sizeBytes} bytes, and was asked for those up to ${last}`;
    return new Refusal('artifact-unavailable', `download of ${this.#download.digest}: ${told}`);
  }

  async #append(chunk: Chunk, bytes: Uint8Array): Promise<void> {
    const offset = this.#part.sizeBytes;
    await this.#part.append(bytes);
    this.#took(chunk, offset);
  }

  /** What a file repeats, zeros for example, is copied from itself. */
  #took({ digest, sizeBytes }: Chunk, offset: number): void {
    this.#at += 1;
    this.#places.set(digest, { path: this.#part.path, offset, sizeBytes });
    this.#download.onProgress?.(offset + sizeBytes);
  }
}

/** Where the chunks that one request brings end: behind the last missing one that no long stretch of others precedes. */
function runEnd(
  chunks: readonly Chunk[],
  from: number,
  places: ReadonlyMap<Digest, ChunkPlace>,
): number {
  const asked = new Set<Digest>();
  let end = from;
  let gapBytes = 0;
  for (let at = from; at < chunks.length && gapBytes <= MAX_GAP_BYTES; at += 1) {
    const { digest, sizeBytes } = chunks[at];
    // What repeats itself will be here when its second turn comes.
    if (places.has(digest) || asked.has(digest)) gapBytes += sizeBytes;
    else {
      asked.add(digest);
      gapBytes = 0;
      end = at + 1;
    }
  }
  return end;
}
