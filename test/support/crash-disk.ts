import type { AppendFile, Disk } from '../../agent/store/disk.ts';

/** The power went: whoever gets this is dead, and so is everything that it does afterwards. */
export class Crash extends Error {}

type Change =
  | { readonly kind: 'append'; readonly data: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number };

/** Bytes that survive, and what was done to them since the last sync. */
class Inode {
  synced: Uint8Array = new Uint8Array(0);
  changes: Change[] = [];

  get now(): Uint8Array {
    return applied(this.synced, this.changes);
  }

  sync(): void {
    this.synced = this.now;
    this.changes = [];
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
    this.sync();
  }
}

type NameChange = (names: Map<string, Inode>) => void;

/**
 * A disk in memory that loses what a real one may lose. Names are kept in the order in which they were changed, as a
 * journal does; contents only as far as they were synced.
 */
export class CrashDisk implements Disk {
  readonly #random: () => number;
  #names = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #nameChanges: NameChange[] = [];
  /** Operations until the power goes. */
  #left = Number.POSITIVE_INFINITY;
  /** Bytes that may still be appended. */
  freeBytes = Number.POSITIVE_INFINITY;
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
    for (const change of this.#nameChanges.slice(0, kept)) change(this.#durable);
    for (const inode of new Set(this.#durable.values())) inode.crash(this.#random);
    this.#names = new Map(this.#durable);
    this.#nameChanges = [];
  }

  bytesIn(folder: string): number {
    const files = [...this.#names].filter(([path]) => path.startsWith(`${folder}/`));
    return files.reduce((sum, [, inode]) => sum + inode.now.length, 0);
  }

  async makeFolder(): Promise<void> {
    this.#step();
  }

  async list(folder: string): Promise<string[]> {
    this.#step();
    return [...this.#names.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
  }

  async read(path: string): Promise<Uint8Array | null> {
    this.#step();
    return this.#names.get(path)?.now ?? null;
  }

  async openAppend(path: string): Promise<AppendFile> {
    this.#step();
    const inode = this.#names.get(path) ?? new Inode();
    if (!this.#names.has(path)) this.#rename((names) => names.set(path, inode));
    const epoch = this.#epoch;
    const step = () => {
      if (epoch !== this.#epoch) throw new Crash('the process that opened this file is gone');
      this.#step();
    };
    return {
      append: async (data) => {
        step();
        const fits = data.slice(0, Math.max(0, this.freeBytes));
        this.freeBytes -= fits.length;
        inode.changes.push({ kind: 'append', data: fits });
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

  async rename(from: string, to: string): Promise<void> {
    this.#step();
    const inode = this.#names.get(from);
    if (inode === undefined) throw new Error(`no file ${from}`);
    this.#rename((names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    this.#step();
    if (this.#names.has(path)) this.#rename((names) => names.delete(path));
  }

  async syncFolder(): Promise<void> {
    this.#step();
    for (const change of this.#nameChanges) change(this.#durable);
    this.#nameChanges = [];
  }

  #rename(change: NameChange): void {
    change(this.#names);
    this.#nameChanges.push(change);
  }

  #step(): void {
    this.#left -= 1;
    if (this.#left < 0) throw new Crash('the power went');
  }
}

function applied(start: Uint8Array, changes: readonly Change[]): Uint8Array {
  return changes.reduce<Uint8Array>((bytes, change) => {
    if (change.kind === 'truncate') return bytes.slice(0, change.size);
    const next = new Uint8Array(bytes.length + change.data.length);
    next.set(bytes);
    next.set(change.data, bytes.length);
    return next;
  }, start);
}
