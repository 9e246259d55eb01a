import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestSchema } from '../../protocol/ids.ts';
import { MAX_ARTIFACT_BYTES } from '../../protocol/limits.ts';
import { ControlError } from '../error.ts';

/**
 * Files by their digest, on disk: `blobs/sha256/ab/<hex>`, `<hex>.part` while one arrives, and
 * `<hex>.chunks`, the index of its chunks. A file without an ending is complete and was verified. No name that a client chose is part of a path:
 * only the 64 hex digits of a digest that passed its schema.
 */
export class Blobs {
  readonly #root: string;
  readonly #maxBytes: number;
  /** Two writers to one `.part` would interleave. */
  readonly #writing = new Set<Digest>();

  constructor(dataDir: string, maxBytes = MAX_ARTIFACT_BYTES) {
    this.#root = join(dataDir, 'blobs', 'sha256');
    this.#maxBytes = maxBytes;
  }

  /** Bytes of a complete file; null when there is none. */
  async size(digest: Digest): Promise<number | null> {
    return sizeOf(this.#path(digest));
  }

  /** Bytes that have arrived of a file which is not complete: where an upload continues. */
  async offset(digest: Digest): Promise<number> {
    return (await sizeOf(`${this.#path(digest)}.part`)) ?? 0;
  }

  /**
   * Appends `body` at `start`. With `total` bytes there the file is verified, made durable and
   * complete: returns true. Returns false while bytes are missing. What arrived before a broken
   * connection is kept for the next attempt; a start of 0 begins anew. Throws `ControlError`
   * 'too-large', 'range' (wrong start), 'digest-mismatch' (all is discarded), 'conflict'.
   */
  async append(
    digest: Digest,
    body: AsyncIterable<Uint8Array>,
    start: number,
    total: number | null,
  ): Promise<boolean> {
    if ((total ?? 0) > this.#maxBytes) throw this.#tooLarge(total ?? 0);
    if (this.#writing.has(digest)) {
      throw new ControlError('conflict', `${digest} is being uploaded by another request`);
    }
    this.#writing.add(digest);
    try {
      return await this.#appendAlone(digest, body, start, total);
    } finally {
      this.#writing.delete(digest);
    }
  }

  async #appendAlone(
    digest: Digest,
    body: AsyncIterable<Uint8Array>,
    start: number,
    total: number | null,
  ): Promise<boolean> {
    const path = this.#path(digest);
    const part = `${path}.part`;
    if (start > 0 && start !== (await this.offset(digest))) {
      const held = await this.offset(digest);
      throw new ControlError('range', `the upload starts at byte ${start}; continue at ${held}`);
    }
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    const handle = await open(part, start === 0 ? 'w' : 'a', 0o600);
    let end: number;
    try {
      end = await this.#write(handle, body, start, total);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (total !== null && end < total) return false;
    await this.#verify(digest, part);
    await rename(part, path);
    await syncDirectory(join(path, '..'));
    return true;
  }

  async #write(
    handle: FileHandle,
    body: AsyncIterable<Uint8Array>,
    start: number,
    total: number | null,
  ): Promise<number> {
    let end = start;
    for await (const chunk of body) {
      end += chunk.length;
      if (end > this.#maxBytes) throw this.#tooLarge(end);
      if (total !== null && end > total) {
        throw new ControlError('range', `more than the ${total} bytes announced have arrived`);
      }
      await writeFully(handle, chunk);
    }
    return end;
  }

  // Hashed from the disk and not in passing: this is what will be served, resumed parts included.
  async #verify(digest: Digest, part: string): Promise<void> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(part)) hash.update(chunk);
    const actual = `sha256:${hash.digest('hex')}`;
    if (actual === digest) return;
    await rm(part, { force: true });
    throw new ControlError(
      'digest-mismatch',
      `the bytes that arrived have digest ${actual}, not ${digest}; they were discarded, upload again`,
    );
  }

  /** Bytes `first` to `last` (both included) of a complete file. */
  stream(digest: Digest, first: number, last: number): ReadStream {
    return createReadStream(this.#path(digest), { start: first, end: last });
  }

  /** Bytes of the chunk index beside a complete file; null when it has not been made. */
  async indexSize(digest: Digest): Promise<number | null> {
    return sizeOf(`${this.#path(digest)}.chunks`);
  }

  streamIndex(digest: Digest): ReadStream {
    return createReadStream(`${this.#path(digest)}.chunks`);
  }

  /** Puts a chunk index beside a complete file: all of it, or nothing. */
  async writeIndex(digest: Digest, index: Uint8Array): Promise<void> {
    const path = `${this.#path(digest)}.chunks`;
    const handle = await open(`${path}.tmp`, 'w', 0o600);
    try {
      await writeFully(handle, index);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${path}.tmp`, path);
    await syncDirectory(join(path, '..'));
  }

  /** A complete file of at most `maxBytes`; throws 'artifact-missing' or 'too-large'. */
  async read(digest: Digest, maxBytes: number): Promise<Uint8Array> {
    const size = await this.size(digest);
    if (size === null) {
      throw new ControlError('artifact-missing', `${digest} has not been uploaded`);
    }
    if (size > maxBytes) {
      throw new ControlError('too-large', `${digest} has ${size} bytes, at most ${maxBytes} do`);
    }
    return readFile(this.#path(digest));
  }

  #path(digest: Digest): string {
    const hex = digestSchema.parse(digest).slice('sha256:'.length);
    return join(this.#root, hex.slice(0, 2), hex);
  }

  #tooLarge(bytes: number): ControlError {
    return new ControlError(
      'too-large',
      `an artifact of ${bytes} bytes or more exceeds the ${this.#maxBytes} allowed`,
    );
  }
}

/** A write may take only a part of its bytes, on a full disk for example. */
async function writeFully(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** A rename survives a power cut only once the directory is on disk too. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
