import { dirname } from 'node:path';
import type { AppendFile, Disk } from './disk.ts';

/** What a power cut costs at most: seconds of a download, for a sync that no one waits for long. */
const SYNC_EVERY_BYTES = 16 * 2 ** 20;

/** A file on its way in. It grows at its end alone, and a power cut may leave any bytes in what was not synced. */
export class PartFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: AppendFile;
  #sizeBytes: number;
  #unsyncedBytes = 0;

  private constructor(disk: Disk, path: string, file: AppendFile, sizeBytes: number) {
    this.#disk = disk;
    this.path = path;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  /** Goes on with what is there. */
  static async open(disk: Disk, path: string): Promise<PartFile> {
    const facts = await disk.stat(path);
    const file = await disk.openAppend(path);
    // A part without a name can't be gone on with.
    if (facts === null) await disk.syncFolder(dirname(path));
    return new PartFile(disk, path, file, facts?.sizeBytes ?? 0);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(data: Uint8Array): Promise<void> {
    await this.#file.append(data);
    this.#sizeBytes += data.length;
    this.#unsyncedBytes += data.length;
    if (this.#unsyncedBytes >= SYNC_EVERY_BYTES) await this.sync();
  }

  async cut(sizeBytes: number): Promise<void> {
    if (sizeBytes === this.#sizeBytes) return;
    await this.#file.truncate(sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  readRange(offset: number, length: number): Promise<Uint8Array> {
    return this.#disk.readRange(this.path, offset, length);
  }

  async sync(): Promise<void> {
    await this.#file.sync();
    this.#unsyncedBytes = 0;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
