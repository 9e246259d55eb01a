import { mkdir, open, readdir, readFile, rename, rm, truncate } from 'node:fs/promises';
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

/** What durable stores ask of a file system. The tests have another one, which crashes where it is told to. */
export interface Disk {
  makeFolder(path: string): Promise<void>;
  list(folder: string): Promise<string[]>;
  /** Null when there is none. */
  read(path: string): Promise<Uint8Array | null>;
  openAppend(path: string): Promise<AppendFile>;
  truncate(path: string, size: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Nothing happens when there is none. */
  remove(path: string): Promise<void>;
  /** Names that were made, renamed or removed in it survive a power cut from here on. */
  syncFolder(path: string): Promise<void>;
}

export const realDisk: Disk = {
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  list: (folder) => readdir(folder),
  read: (path) =>
    readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    }),
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
