import { ProtocolError } from '../../protocol/error.ts';
import type { TelemetryMessage } from '../../protocol/telemetry.ts';
import { decodeUp, encodeUp } from '../../protocol/wire.ts';
import { type AppendFile, type Disk, realDisk } from '../store/disk.ts';
import { coarsen } from './coarsen.ts';
import {
  decodeSegment,
  encodeRecord,
  itemOf,
  nameOfSegment,
  type OutboxItem,
  parseSegmentName,
  replaces,
  type SegmentName,
} from './outbox-segment.ts';
import { SentMark } from './sent-mark.ts';

/** All segments together: weeks of windows for a small host, and never a full disk. */
export const MAX_OUTBOX_BYTES = 64 * 1024 * 1024;
/** A segment (1 MiB) is removed when all of it has been acknowledged, so small ones give space back sooner. */
const SEGMENTS = 64;
/** What is made coarser at once: some 50 ms of work in the process that hands out connections. */
const COARSEN_SEGMENTS = 2;
/** Coarser windows must save so much, or what they are made of is as coarse as it gets. */
const MIN_SAVING = 0.1;

/** A window that was just cut. */
export type NewWindow = Omit<TelemetryMessage, 'kind' | 'boot' | 'sequence' | 'windows'>;

interface Segment extends SegmentName {
  items: OutboxItem[];
  /** Of the items' frames. */
  bytes: number;
  /** Nothing in it can be made coarser. */
  isCoarsest: boolean;
}

interface ActiveSegment extends Segment {
  readonly file: AppendFile;
  size: number;
}

export interface OutboxOptions {
  readonly folder: string;
  /** This start of the agent. */
  readonly boot: string;
  readonly maxBytes?: number;
  readonly disk?: Disk;
  /** Windows wait, because the disk does not take the mark that they are sent. */
  onFailure?(error: unknown): void;
}

/**
 * Windows that the control plane has not acknowledged, in order, on disk before anywhere else.
 *
 *     append ──▶ active segment ──1 MB──▶ segments, oldest first ──▶ link ──ack──▶ removed
 *                                           │ over the bound
 *                                           ▼
 *                                         coarser windows in one segment that replaces several
 *
 * A crash can cut the last record: it is dropped at the next start, and nothing before it is. Over the bound, windows
 * that were never sent are added up to coarser ones, the oldest first; only when none can be, the oldest are dropped.
 */
export class Outbox {
  readonly #folder: string;
  readonly #boot: string;
  readonly #maxBytes: number;
  readonly #disk: Disk;
  readonly #mark: SentMark;
  readonly #onFailure: (error: unknown) => void;
  #segments: Segment[];
  #active: ActiveSegment | null = null;
  #sequence = 0;
  #writes: Promise<void> = Promise.resolve();
  /** Windows that are gone uncounted. */
  dropped = 0;
  /** Windows that live on as a part of a coarser one. */
  coarsened = 0;
  /** Bytes at the end of a segment that were no whole record, found at the last start. */
  readonly corruptBytes: number;

  private constructor(options: OutboxOptions, loaded: Loaded, mark: SentMark) {
    this.#folder = options.folder;
    this.#boot = options.boot;
    this.#maxBytes = options.maxBytes ?? MAX_OUTBOX_BYTES;
    this.#disk = options.disk ?? realDisk;
    this.#segments = loaded.segments;
    this.corruptBytes = loaded.corruptBytes;
    this.#mark = mark;
    this.#onFailure = options.onFailure ?? (() => undefined);
  }

  static async open(options: OutboxOptions): Promise<Outbox> {
    const { folder, disk = realDisk } = options;
    await disk.makeFolder(folder);
    const loaded = await load(disk, folder);
    const last = new Map<string, number>();
    for (const { items } of loaded.segments) {
      for (const { boot, sequence } of items) last.set(boot, sequence);
    }
    return new Outbox(options, loaded, await SentMark.open(disk, folder, last));
  }

  /** Unacknowledged windows, oldest first. */
  get pending(): readonly OutboxItem[] {
    return [...this.#everySegment()].flatMap(({ items }) => items);
  }

  get pendingCount(): number {
    return this.#sum(({ items }) => items.length);
  }

  get bytes(): number {
    return this.#sum(({ bytes }) => bytes);
  }

  /** Windows made since this start. */
  get produced(): number {
    return this.#sequence;
  }

  /**
   * Up to `most` windows that may go on the wire now, oldest first, without those that `skip` names. When there are
   * more of them that may not yet, `onMore` is called once they may.
   */
  take(most: number, skip: (item: OutboxItem) => boolean, onMore: () => void): OutboxItem[] {
    const taken: OutboxItem[] = [];
    for (const { items } of this.#everySegment()) {
      for (const item of items) {
        if (taken.length >= most) return taken;
        if (skip(item)) continue;
        if (!this.#mark.covers(item)) {
          // In line with what makes windows coarser: none may be sent while it becomes a part of another.
          this.#next(() => this.#mark.reserve(item)).then(onMore, this.#onFailure);
          return taken;
        }
        taken.push(item);
      }
    }
    return taken;
  }

  /**
   * Numbers a window, writes it through to the disk, and only then gives it to be sent. Rejects when the disk does
   * not take it: then it is kept in memory alone, to be sent while the agent runs.
   */
  append(window: NewWindow): Promise<OutboxItem> {
    this.#sequence += 1;
    const place = { boot: this.#boot, sequence: this.#sequence };
    const message: TelemetryMessage = { kind: 'telemetry', ...place, windows: 1, ...window };
    const item = itemOf(message, frameOf(message));
    return this.#next(() => this.#write(item)).then(() => item);
  }

  /** Everything that touches files, one after the other. */
  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#writes.then(work);
    this.#writes = done.catch(() => undefined);
    return done;
  }

  async #write(item: OutboxItem): Promise<void> {
    const active = await this.#openActive();
    try {
      await appendWhole(active, encodeRecord(item.frame));
    } finally {
      active.items.push(item);
      active.bytes += item.frame.length;
      await this.#keepBound();
    }
  }

  async #openActive(): Promise<ActiveSegment> {
    if (this.#active !== null && this.#active.size < this.#maxBytes / SEGMENTS) return this.#active;
    const number = 1 + Math.max(0, ...[...this.#everySegment()].map(({ to }) => to));
    await this.#seal();
    const name = { from: number, to: number };
    const file = await this.#disk.openAppend(`${this.#folder}/${nameOfSegment(name)}`);
    await this.#disk.syncFolder(this.#folder);
    this.#active = { ...name, items: [], bytes: 0, isCoarsest: false, file, size: 0 };
    return this.#active;
  }

  async #seal(): Promise<void> {
    if (this.#active === null) return;
    const { file, size: _, ...segment } = this.#active;
    this.#active = null;
    this.#segments.push(segment);
    await file.close();
  }

  async #keepBound(): Promise<void> {
    while (this.bytes > this.#maxBytes) {
      const run = this.#coarsable();
      if (run === null) {
        await this.#dropOldest();
        return;
      }
      await this.#coarsen(run);
    }
  }

  /** Neighbouring segments, the oldest of which can be made coarser: never the one that is written to. */
  #coarsable(): readonly Segment[] | null {
    const start = this.#segments.findIndex(({ isCoarsest }) => !isCoarsest);
    if (start === -1) return null;
    let bytes = 0;
    const run: Segment[] = [];
    for (const segment of this.#segments.slice(start)) {
      bytes += segment.bytes;
      if (run.length > 1 && bytes > (this.#maxBytes / SEGMENTS) * COARSEN_SEGMENTS) break;
      run.push(segment);
    }
    return run;
  }

  async #coarsen(run: readonly Segment[]): Promise<void> {
    const items = run.flatMap((segment) => segment.items);
    // What may have been sent may have been counted: it stays what it was.
    const sent = items.filter((item) => this.#mark.covers(item));
    const unsent = items.filter((item) => !this.#mark.covers(item));
    const sums = coarsen(unsent.flatMap(({ frame }) => readWindow(frame) ?? []));
    const coarse = [...sent, ...sums.map((message) => itemOf(message, frameOf(message)))];
    if (bytesOf(coarse) > bytesOf(items) * (1 - MIN_SAVING)) {
      run[0].isCoarsest = true;
      return;
    }
    const name = { from: run[0].from, to: run[run.length - 1].to };
    await this.#replace(run, name, coarse);
    this.coarsened += items.length - coarse.length;
  }

  /** The rename is the moment at which the old segments no longer count, whether or not they are removed. */
  async #replace(run: readonly Segment[], name: SegmentName, items: OutboxItem[]): Promise<void> {
    const path = `${this.#folder}/${nameOfSegment(name)}`;
    const temporary = `${path}.tmp`;
    await this.#disk.remove(temporary);
    const file = await this.#disk.openAppend(temporary);
    try {
      for (const { frame } of items) await file.append(encodeRecord(frame));
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(temporary, path);
    await this.#disk.syncFolder(this.#folder);
    const still = new Set(run.flatMap((segment) => segment.items));
    const left = items.filter((item) => !this.#mark.covers(item) || still.has(item));
    const segment = { ...name, items: left, bytes: bytesOf(left), isCoarsest: false };
    this.#segments.splice(this.#segments.indexOf(run[0]), run.length, segment);
    for (const old of run) if (replaces(name, old)) await this.#remove(old);
  }

  /** Nobody acknowledges what is dropped: its segments must go, or the disk would fill while the link is down. */
  async #dropOldest(): Promise<void> {
    let over = this.bytes - this.#maxBytes;
    for (const segment of this.#everySegment()) {
      while (over > 0 && segment.items.length > 0) {
        const [oldest] = segment.items.splice(0, 1);
        over -= oldest.frame.length;
        segment.bytes -= oldest.frame.length;
        this.dropped += oldest.windows;
      }
    }
    await this.#removeEmpty();
  }

  /** Forgets every window of `boot` up to `sequence`, and removes segments that hold nothing else. */
  acknowledge(boot: string, sequence: number): Promise<void> {
    for (const segment of this.#everySegment()) {
      const isKept = (item: OutboxItem) => item.boot !== boot || item.sequence > sequence;
      if (segment.items.every(isKept)) continue;
      segment.items = segment.items.filter(isKept);
      segment.bytes = bytesOf(segment.items);
    }
    return this.#next(() => this.#removeEmpty());
  }

  async #removeEmpty(): Promise<void> {
    for (const segment of this.#segments.filter(({ items }) => items.length === 0)) {
      await this.#remove(segment);
      this.#segments = this.#segments.filter((each) => each !== segment);
    }
    if (this.#active !== null && this.#active.items.length === 0 && this.#active.size > 0) {
      await this.#active.file.truncate(0);
      this.#active.size = 0;
    }
    const boots = new Set(this.pending.map(({ boot }) => boot));
    this.#mark.keepOnly(boots.add(this.#boot));
  }

  async #remove(segment: SegmentName): Promise<void> {
    await this.#disk.remove(`${this.#folder}/${nameOfSegment(segment)}`);
  }

  *#everySegment(): Generator<Segment> {
    yield* this.#segments;
    if (this.#active !== null) yield this.#active;
  }

  #sum(of: (segment: Segment) => number): number {
    let sum = 0;
    for (const segment of this.#everySegment()) sum += of(segment);
    return sum;
  }

  async close(): Promise<void> {
    await this.#next(() => this.#seal());
    await this.#mark.close();
  }
}

interface Loaded {
  readonly segments: Segment[];
  readonly corruptBytes: number;
}

/** Reads what the last start left, and finishes what it had begun. */
async function load(disk: Disk, folder: string): Promise<Loaded> {
  const files = await disk.list(folder);
  for (const name of files.filter((each) => each.endsWith('.tmp'))) {
    await disk.remove(`${folder}/${name}`);
  }
  const names = files.flatMap((name) => parseSegmentName(name) ?? []);
  const segments: Segment[] = [];
  let corruptBytes = 0;
  for (const name of names.sort((a, b) => a.to - b.to || a.from - b.from)) {
    const path = `${folder}/${nameOfSegment(name)}`;
    if (names.some((other) => replaces(other, name))) {
      await disk.remove(path);
      continue;
    }
    const bytes = (await disk.read(path)) ?? new Uint8Array(0);
    const { items, goodBytes } = decodeSegment(bytes, readWindow);
    if (goodBytes < bytes.length) await disk.truncate(path, goodBytes);
    corruptBytes += bytes.length - goodBytes;
    segments.push({ ...name, items, bytes: bytesOf(items), isCoarsest: false });
  }
  return { segments, corruptBytes };
}

/** A record as a whole or nothing of it: behind half a record, a restart would read none of those that follow. */
async function appendWhole(active: ActiveSegment, record: Uint8Array): Promise<void> {
  try {
    await active.file.append(record);
    await active.file.sync();
    active.size += record.length;
  } catch (error) {
    await active.file.truncate(active.size);
    throw error;
  }
}

function bytesOf(items: readonly OutboxItem[]): number {
  return items.reduce((sum, { frame }) => sum + frame.length, 0);
}

/** msgpackr reuses its buffer: the frame outlives the call, so it is copied. */
function frameOf(message: TelemetryMessage): Uint8Array {
  return Uint8Array.from(encodeUp(message));
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
