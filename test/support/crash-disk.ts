import type { AppendFile, Disk, FileFacts } from '../../agent/store/disk.ts';

/** The power went: whoever gets this is dead, and so is everything that it does afterwards. */
export class Crash extends Error {}

type Change =
  | { readonly kind: 'append'; readonly data: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number };

/** Bytes that survive, and what was done to them since the last sync. */
class Inode {
  synced: Uint8Array = new Uint8Array(0);
  changes: Change[] = [];
  modifiedMs = 0;
  #seen: { readonly changes: number; readonly bytes: Uint8Array } | null = null;

  get now(): Uint8Array {
    const { length } = this.changes;
    if (this.#seen?.changes !== length) {
      this.#seen = { changes: length, bytes: applied(this.synced, this.changes) };
    }
    return this.#seen.bytes;
  }

  sync(): void {
    this.synced = this.now;
    this.changes = [];
    this.#seen = null;
  }

  /** Of what was not synced the power cut leaves the first changes, and perhaps a part of the next. */
  crash(random: () => number): void {
    const kept = this.changes.slice(0, Math.floor(random() * (this.changes.length + 1)));
    const next = this.changes[kept.length];
    if (next?.kind === 'append') {
      const data = next.data.slice(0, Math.floor(random() * next.data.length));
      if (data.length > 0 && random() < 0.3) data[data.length - 1] ^= 0x55;
      kept.push({ kind: 'append', data });
    }
    this.changes = kept;
    this.#seen = null;
    this.sync();
  }
}

/** What happened to names in one folder. A folder is a name too, of which there is no inode. */
interface NameChange {
  readonly folder: string;
  apply(names: Map<string, Inode | null>): void;
}

/**
 * A disk in memory that loses what a real one may lose. Names are kept in the order in which they were changed, as a
 * journal does, or folder by folder as they were synced; contents only as far as they were synced. What lies in a
 * folder that was lost is lost with it; a path's first folder was always there.
 */
export class CrashDisk implements Disk {
  readonly #random: () => number;
  #names = new Map<string, Inode | null>();
  #durable = new Map<string, Inode | null>();
  #nameChanges: NameChange[] = [];
  /** Operations until the power goes. */
  #left = Number.POSITIVE_INFINITY;
  /** Bytes that may still be appended. */
  leftBytes = Number.POSITIVE_INFINITY;
  /** Stands in what is written or touched. */
  nowMs = 0;
  #epoch = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  crashAfter(operations: number): void {
    this.#left = operations;
  }

  /** The power is back: what survived. */
  restart(): void {
    this.#left = Number.POSITIVE_INFINITY;
    this.#epoch += 1;
    const kept = Math.floor(this.#random() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, kept)) change.apply(this.#durable);
    for (const path of [...this.#durable.keys()]) {
      if (!foldersOf(path).every((folder) => this.#durable.has(folder))) this.#durable.delete(path);
    }
    for (const inode of new Set(this.#durable.values())) inode?.crash(this.#random);
    this.#names = new Map(this.#durable);
    this.#nameChanges = [];
  }

  bytesIn(folder: string): number {
    const files = [...this.#names].filter(([path]) => path.startsWith(`${folder}/`));
    return files.reduce((sum, [, inode]) => sum + (inode?.now.length ?? 0), 0);
  }

  /** Every file, as whoever has the disk in hand sees it. */
  files(): Map<string, Uint8Array> {
    return new Map(
      [...this.#names].flatMap(([path, inode]) => (inode === null ? [] : [[path, inode.now]])),
    );
  }

  async makeFolder(path: string): Promise<void> {
    this.#step();
    for (const folder of [...foldersOf(path), path].filter((each) => each.includes('/'))) {
      if (this.#names.has(folder)) continue;
      this.#change(folder, (names) => names.set(folder, null));
    }
  }

  async list(folder: string): Promise<string[]> {
    this.#step();
    return [...this.#names.keys()]
      .filter((path) => folderOf(path) === folder)
      .map((path) => path.slice(folder.length + 1));
  }

  async read(path: string): Promise<Uint8Array | null> {
    this.#step();
    return this.#names.get(path)?.now ?? null;
  }

  async *pieces(path: string): AsyncGenerator<Uint8Array> {
    this.#step();
    yield this.#file(path).now;
  }

  async readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    this.#step();
    return this.#file(path).now.slice(offset, offset + length);
  }

  async stat(path: string): Promise<FileFacts | null> {
    this.#step();
    const inode = this.#names.get(path);
    if (inode === undefined || inode === null) return null;
    return { sizeBytes: inode.now.length, modifiedMs: inode.modifiedMs };
  }

  async touch(path: string, nowMs: number): Promise<void> {
    this.#step();
    const inode = this.#names.get(path);
    if (inode !== undefined && inode !== null) inode.modifiedMs = nowMs;
  }

  async freeBytes(): Promise<number> {
    this.#step();
    return this.leftBytes;
  }

  async openAppend(path: string): Promise<AppendFile> {
    this.#step();
    if (!foldersOf(path).every((folder) => this.#names.has(folder))) {
      throw Object.assign(new Error(`ENOENT: no folder of ${path}`), { code: 'ENOENT' });
    }
    const inode = this.#names.get(path) ?? new Inode();
    if (!this.#names.has(path)) this.#change(path, (names) => names.set(path, inode));
    const epoch = this.#epoch;
    const step = () => {
      if (epoch !== this.#epoch) throw new Crash('the process that opened this file is gone');
      this.#step();
    };
    return {
      append: async (data) => {
        step();
        const fits = data.slice(0, Math.max(0, this.leftBytes));
        this.leftBytes -= fits.length;
        inode.changes.push({ kind: 'append', data: fits });
        inode.modifiedMs = this.nowMs;
        if (fits.length < data.length) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      },
      sync: async () => {
        step();
        inode.sync();
      },
      truncate: async (size) => {
        step();
        inode.changes.push({ kind: 'truncate', size });
      },
      close: async () => {
        if (epoch === this.#epoch && this.#left > 0) step();
      },
    };
  }

  async truncate(path: string, size: number): Promise<void> {
    this.#step();
    this.#names.get(path)?.changes.push({ kind: 'truncate', size });
  }

  /** Within one folder. */
  async rename(from: string, to: string): Promise<void> {
    this.#step();
    const inode = this.#file(from);
    this.#change(to, (names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    this.#step();
    const inode = this.#names.get(path);
    if (inode === undefined || inode === null) return;
    this.leftBytes += inode.now.length;
    this.#change(path, (names) => names.delete(path));
  }

  async syncFolder(path: string): Promise<void> {
    this.#step();
    for (const change of this.#nameChanges) {
      if (change.folder === path) change.apply(this.#durable);
    }
    this.#nameChanges = this.#nameChanges.filter(({ folder }) => folder !== path);
  }

  #file(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined || inode === null) {
      throw Object.assign(new Error(`ENOENT: no file ${path}`), { code: 'ENOENT' });
    }
    return inode;
  }

  #change(path: string, apply: NameChange['apply']): void {
    apply(this.#names);
    this.#nameChanges.push({ folder: folderOf(path), apply });
  }

  #step(): void {
    this.#left -= 1;
    if (this.#left < 0) throw new Crash('the power went');
  }
}

function applied(start: Uint8Array, changes: readonly Change[]): Uint8Array {
  const most = changes.reduce(
    (sum, change) => sum + (change.kind === 'append' ? change.data.length : 0),
    start.length,
  );
  const bytes = new Uint8Array(most);
  bytes.set(start);
  let length = start.length;
  for (const change of changes) {
    if (change.kind === 'truncate') length = Math.min(length, change.size);
    else {
      bytes.set(change.data, length);
      length += change.data.length;
    }
  }
  return bytes.slice(0, length);
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The folders above a path but for the first, from the outermost on. */
function foldersOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(2).map((_, at) => parts.slice(0, at + 2).join('/'));
}
