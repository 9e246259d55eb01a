import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { ProtocolError } from '../../protocol/error.ts';
import { crc32 } from '../../protocol/sketch/crc32.ts';
import type { TelemetryMessage } from '../../protocol/telemetry.ts';
import { decodeUp, encodeUp } from '../../protocol/wire.ts';
import { syncFolder } from '../store/atomic-file.ts';

export interface OutboxItem {
  readonly boot: string;
  readonly sequence: number;
  readonly frame: Uint8Array;
}

/** All segments together: weeks of windows for a small host, and never a full disk. */
export const MAX_OUTBOX_BYTES = 64 * 1024 * 1024;
/** A segment is removed when all of it has been acknowledged, so small ones give space back sooner. */
const SEGMENT_BYTES = 1024 * 1024;
const RECORD_HEADER_BYTES = 8;

/**
 * Windows that the control plane has not acknowledged, in order, on disk before anywhere else.
 *
 *     segment file = record*        record = length u32 LE, CRC-32 of the frame u32 LE, frame
 *
 * A crash can cut the last record: it is dropped at the next start, and nothing before it is. When the bound is
 * reached the oldest windows are dropped and counted.
 */
export class Outbox {
  readonly #folder: string;
  readonly #boot: string;
  readonly #maxBytes: number;
  #items: OutboxItem[] = [];
  #bytes = 0;
  #sequence = 0;
  #segments: { path: string; last: OutboxItem | null }[] = [];
  #active: { file: FileHandle; path: string; size: number; last: OutboxItem | null } | null = null;
  #writes: Promise<void> = Promise.resolve();
  #segmentNumber = 0;
  dropped = 0;
  /** Bytes at the end of a segment that were no whole record, found at the last start. */
  corruptBytes = 0;

  private constructor(folder: string, boot: string, maxBytes: number) {
    this.#folder = folder;
    this.#boot = boot;
    this.#maxBytes = maxBytes;
  }

  static async open(folder: string, boot: string, maxBytes = MAX_OUTBOX_BYTES): Promise<Outbox> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const outbox = new Outbox(folder, boot, maxBytes);
    const names = (await readdir(folder)).filter((name) => /^\d{12}\.seg$/.test(name)).sort();
    for (const name of names) await outbox.#readSegment(join(folder, name));
    outbox.#segmentNumber = names.length === 0 ? 0 : Number(names[names.length - 1].slice(0, 12));
    return outbox;
  }

  async #readSegment(path: string): Promise<void> {
    const bytes = await readFile(path);
    let at = 0;
    let last: OutboxItem | null = null;
    while (at + RECORD_HEADER_BYTES <= bytes.length) {
      const end = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      const frame = bytes.subarray(at + RECORD_HEADER_BYTES, end);
      if (crc32(frame) !== bytes.readUInt32LE(at + 4)) break;
      const message = readWindow(frame);
      if (message === null) break;
      last = { boot: message.boot, sequence: message.sequence, frame };
      this.#items.push(last);
      this.#bytes += frame.length;
      at = end;
    }
    if (at < bytes.length) {
      this.corruptBytes += bytes.length - at;
      await truncate(path, at);
    }
    this.#segments.push({ path, last });
  }

  /** Unacknowledged windows, oldest first. */
  get pending(): readonly OutboxItem[] {
    return this.#items;
  }

  get produced(): number {
    return this.#sequence;
  }

  /**
   * Numbers a window, writes it through to the disk, and only then gives it to be sent. Rejects when the disk does
   * not take it: then it is kept in memory alone, to be sent while the agent runs.
   */
  append(window: Omit<TelemetryMessage, 'kind' | 'boot' | 'sequence'>): Promise<OutboxItem> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const frame = encodeUp({ kind: 'telemetry', boot: this.#boot, sequence, ...window });
    // msgpackr reuses its buffer: the frame outlives the call, so it is copied.
    const item = { boot: this.#boot, sequence, frame: Uint8Array.from(frame) };
    const written = this.#writes.then(() => this.#write(item));
    this.#writes = written.catch(() => undefined);
    return written.then(() => item);
  }

  async #write(item: OutboxItem): Promise<void> {
    if (this.#active !== null && this.#active.size >= SEGMENT_BYTES) await this.#seal();
    if (this.#active === null) {
      this.#segmentNumber += 1;
      const path = join(this.#folder, `${String(this.#segmentNumber).padStart(12, '0')}.seg`);
      this.#active = { file: await open(path, 'a', 0o600), path, size: 0, last: null };
      await syncFolder(this.#folder);
    }
    const record = Buffer.alloc(RECORD_HEADER_BYTES + item.frame.length);
    record.writeUInt32LE(item.frame.length, 0);
    record.writeUInt32LE(crc32(item.frame), 4);
    record.set(item.frame, RECORD_HEADER_BYTES);
    try {
      await this.#append(this.#active, record);
      this.#active.last = item;
    } finally {
      this.#items.push(item);
      this.#bytes += item.frame.length;
      // Nobody acknowledges what is dropped: its segments must go, or the disk would fill while the link is down.
      if (this.#dropOverBound()) await this.#removeAcknowledged();
    }
  }

  /** A record as a whole or nothing of it: behind half a record, a restart would read none of those that follow. */
  async #append(active: { file: FileHandle; size: number }, record: Uint8Array): Promise<void> {
    try {
      // `writeFile` and not `write`, which may stop half-way on a disk that fills up.
      await active.file.writeFile(record);
      await active.file.datasync();
      active.size += record.length;
    } catch (error) {
      await active.file.truncate(active.size);
      throw error;
    }
  }

  #dropOverBound(): boolean {
    const before = this.dropped;
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#items.shift();
      if (oldest === undefined) break;
      this.#bytes -= oldest.frame.length;
      this.dropped += 1;
    }
    return this.dropped > before;
  }

  async #seal(): Promise<void> {
    if (this.#active === null) return;
    await this.#active.file.close();
    this.#segments.push({ path: this.#active.path, last: this.#active.last });
    this.#active = null;
  }

  /** Forgets every window of `boot` up to `sequence`, and removes segments that hold nothing else. */
  acknowledge(boot: string, sequence: number): Promise<void> {
    const kept = this.#items.filter((item) => item.boot !== boot || item.sequence > sequence);
    this.#bytes = kept.reduce((sum, item) => sum + item.frame.length, 0);
    this.#items = kept;
    const cleaned = this.#writes.then(() => this.#removeAcknowledged());
    this.#writes = cleaned.catch(() => undefined);
    return cleaned;
  }

  async #removeAcknowledged(): Promise<void> {
    const pending = new Set(this.#items);
    // A segment can go once its last record has: acknowledgements and drops come in order.
    while (this.#segments.length > 0) {
      const oldest = this.#segments[0];
      if (oldest.last !== null && pending.has(oldest.last)) return;
      await rm(oldest.path, { force: true });
      this.#segments.shift();
    }
    if (this.#items.length === 0 && this.#active !== null && this.#active.size > 0) {
      await this.#active.file.truncate(0);
      this.#active.size = 0;
    }
  }

  async close(): Promise<void> {
    await this.#writes;
    await this.#seal();
  }
}

/** Null for what this version of the agent did not write: a start must not fail on what an upgrade left behind. */
function readWindow(frame: Uint8Array): TelemetryMessage | null {
  try {
    const message = decodeUp(frame);
    return message.kind === 'telemetry' ? message : null;
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
