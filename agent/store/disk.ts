import { createReadStream } from 'node:fs';
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  truncate,
  utimes,
} from 'node:fs/promises';
import { syncFolder } from './atomic-file.ts';

/** A file that only grows at its end. */
export interface AppendFile {
  /** All of it, or it rejects; part of it may then be in the file. */
  append(data: Uint8Array): Promise<void>;
  /** What was appended survives a power cut from here on. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

export interface FileFacts {
  readonly sizeBytes: number;
  /** Last written, or touched. */
  readonly modifiedMs: number;
}

/** What durable stores ask of a file system. The tests have another one, which crashes where it is told to. */
export interface Disk {
  makeFolder(path: string): Promise<void>;
  list(folder: string): Promise<string[]>;
  /** Null when there is none. */
  read(path: string): Promise<Uint8Array | null>;
  /** A file in pieces, so that a large one holds up nobody. Throws when there is none. */
  pieces(path: string): AsyncIterable<Uint8Array>;
  /** At most `length` bytes from `offset` on; fewer at the end of the file. Throws when there is none. */
  readRange(path: string, offset: number, length: number): Promise<Uint8Array>;
  /** Null when there is none. */
  stat(path: string): Promise<FileFacts | null>;
  /** Notes a use. Nothing happens when there is no such file; it need not survive a power cut. */
  touch(path: string, nowMs: number): Promise<void>;
  /** Bytes that may still be written where `folder` is. */
  freeBytes(folder: string): Promise<number>;
  openAppend(path: string): Promise<AppendFile>;
  truncate(path: string, size: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Nothing happens when there is none. */
  remove(path: string): Promise<void>;
  /** Names that were made, renamed or removed in it survive a power cut from here on. */
  syncFolder(path: string): Promise<void>;
}

/** Hashed in a fraction of a millisecond. */
const PIECE_BYTES = 256 * 1024;

export const realDisk: Disk = {
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  list: (folder) => readdir(folder),
  read: (path) => orNull(readFile(path)),
  pieces: (path) => createReadStream(path, { highWaterMark: PIECE_BYTES }),
  readRange: async (path, offset, length) => {
    const file = await open(path, 'r');
    try {
      const bytes = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await file.close();
    }
  },
  stat: async (path) => {
    const facts = await orNull(stat(path));
    return facts === null ? null : { sizeBytes: facts.size, modifiedMs: facts.mtimeMs };
  },
  touch: async (path, nowMs) => {
    await orNull(utimes(path, nowMs / 1000, nowMs / 1000));
  },
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
  openAppend: async (path) => {
    const file = await open(path, 'a', 0o600);
    return {
      // `writeFile` and not `write`, which may stop half-way on a disk that fills up.
      append: (data) => file.writeFile(data),
      sync: () => file.datasync(),
      truncate: (size) => file.truncate(size),
      close: () => file.close(),
    };
  },
  truncate,
  rename,
  remove: (path) => rm(path, { force: true }),
  syncFolder,
};

/** Replaces a file so that a crash leaves the old one or the new one, never a part: temp, fsync, rename, fsync folder. */
export async function replaceFile(
  disk: Disk,
  folder: string,
  name: string,
  data: Uint8Array,
): Promise<void> {
  const temporary = `${folder}/${name}.tmp`;
  await disk.remove(temporary);
  const file = await disk.openAppend(temporary);
  try {
    await file.append(data);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${folder}/${name}`);
  await disk.syncFolder(folder);
}

function orNull<T>(work: Promise<T>): Promise<T | null> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}
