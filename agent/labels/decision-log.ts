import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DecisionBatch } from '../engine/decision-batch.ts';
import { DECISION_BYTES, hashCaller } from '../engine/observe/decision-record.ts';
import type { PostedLabel } from '../engine/posted-label.ts';
import { syncFolder } from '../store/atomic-file.ts';
import { parseDecisionId } from './decision-id.ts';
import { type Place, Segment } from './segment.ts';

/** 26,000 rows: what is looked through for one label, and what is dropped at once. */
export const SEGMENT_BYTES = 1024 * 1024;
/** Segments in memory beside the one that is written: labels that come together are for rows of the same time. */
const MAX_LOADED = 4;

/** What a label names, ready to be looked for. */
export type Sought =
  | {
      readonly by: 'decision';
      readonly engine: number;
      readonly row: number;
      readonly index: number;
      readonly windowStartMs: number;
    }
  | { readonly by: 'caller'; readonly hash: number; readonly index: number };

/** Null where a decision id is none. */
export function soughtBy({ by, id, row }: Pick<PostedLabel, 'by' | 'id' | 'row'>): Sought | null {
  if (by === 'caller') return { by, hash: hashCaller(id), index: row };
  const place = parseDecisionId(id);
  return place === null ? null : { by, ...place, index: row };
}

/**
 * The answered rows of one deployment that labels may still come for, on disk: segments in the order of time, of which
 * the oldest go first. One caller at a time.
 */
export class DecisionLog {
  readonly #folder: string;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  #loaded: Segment[] = [];
  #number = 0;
  /** Rows dropped to stay within bounds. */
  evicted = 0;
  /** Time of the newest row that was dropped; 0: none was. */
  #evictedMs = 0;

  private constructor(folder: string, segmentBytes: number) {
    this.#folder = folder;
    this.#segmentBytes = segmentBytes;
  }

  static async open(folder: string, segmentBytes = SEGMENT_BYTES): Promise<DecisionLog> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const log = new DecisionLog(folder, segmentBytes);
    const names = (await readdir(folder)).filter((name) => /^\d{12}\.seg$/.test(name)).sort();
    for (const name of names) {
      const segment = new Segment(join(folder, name));
      await segment.open();
      log.#segments.push(segment);
      await log.#use(segment);
    }
    log.#number = names.length === 0 ? 0 : Number(names[names.length - 1].slice(0, 12));
    return log;
  }

  get rows(): number {
    return this.#segments.reduce((sum, { rows }) => sum + rows, 0);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get corruptBytes(): number {
    return this.#segments.reduce((sum, { corruptBytes }) => sum + corruptBytes, 0);
  }

  /** When the oldest segment got its last row; `Infinity` where nothing is remembered. */
  get oldestMs(): number {
    return this.#segments[0]?.toMs ?? Number.POSITIVE_INFINITY;
  }

  /** Rows of windows that began before this are no longer remembered; 0 where nothing has been forgotten. */
  get forgottenBeforeMs(): number {
    // Segments are numbered from 1, so those that are missing have been dropped, before a restart too.
    if (this.#number === this.#segments.length) return 0;
    return this.#segments[0]?.fromMs ?? this.#evictedMs;
  }

  async append(batch: DecisionBatch, axes: number): Promise<void> {
    if (batch.records.length === 0 || batch.records.length % (DECISION_BYTES + axes) !== 0) {
      throw new Error(`${batch.records.length} bytes are no records of ${axes} groups`);
    }
    const segment = await this.#active();
    const { source, engine, windowStartMs, windowMs, atMs, records } = batch;
    await segment.append(source, { axes, engine, windowStartMs, windowMs, atMs, records });
  }

  async #active(): Promise<Segment> {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.bytes < this.#segmentBytes) {
      await this.#use(last);
      return last;
    }
    this.#number += 1;
    const segment = new Segment(
      join(this.#folder, `${String(this.#number).padStart(12, '0')}.seg`),
    );
    await segment.open();
    await syncFolder(this.#folder);
    this.#segments.push(segment);
    await this.#use(segment);
    return segment;
  }

  /** Keeps the segments in memory that were used last. */
  async #use(segment: Segment): Promise<void> {
    this.#loaded = [...this.#loaded.filter((other) => other !== segment), segment];
    while (this.#loaded.length > MAX_LOADED + 1) await this.#loaded.shift()?.unload();
  }

  /** Where to look first, as a number that is the same for rows that lie together; -1: nowhere. */
  guess(sought: Sought): number {
    return this.#segments.findLastIndex((segment) => mayHave(segment, sought));
  }

  async find(sought: Sought): Promise<Place | null> {
    for (let at = this.#segments.length - 1; at >= 0; at -= 1) {
      const segment = this.#segments[at];
      if (!mayHave(segment, sought)) continue;
      await this.#use(segment);
      const place =
        sought.by === 'decision'
          ? await segment.findRow(sought.engine, sought.row, sought.index)
          : await segment.findCaller(sought.hash, sought.index);
      if (place !== null) return place;
    }
    return null;
  }

  /** Rows whose labels were joined and never sent, because a crash came between. */
  async unsent(): Promise<Place[]> {
    const places: Place[] = [];
    for (const segment of this.#segments) {
      await this.#use(segment);
      places.push(...(await segment.unsent()));
    }
    return places;
  }

  /** Marks rows as counted in a window that goes out now. On disk when it resolves: forgotten, they would be sent again. */
  async setSent(places: readonly Place[]): Promise<void> {
    for (const place of places) {
      // Its segment may have been dropped since.
      if (!this.#segments.includes(place.segment)) continue;
      await this.#use(place.segment);
      await place.segment.setSent(place);
    }
    for (const segment of this.#loaded) await segment.sync();
  }

  /** Writes what labels have changed. */
  async save(): Promise<void> {
    for (const segment of this.#loaded) await segment.save();
  }

  /** Drops the oldest segments while the rest still holds `keepRows` rows, and those with nothing newer than `beforeMs`. */
  async evict(keepRows: number, beforeMs: number): Promise<void> {
    for (;;) {
      const [oldest] = this.#segments;
      if (oldest === undefined) return;
      const spare = this.#segments.length > 1 && this.rows - oldest.rows >= keepRows;
      if (!spare && oldest.toMs >= beforeMs) return;
      await this.dropOldest();
    }
  }

  async dropOldest(): Promise<void> {
    const oldest = this.#segments.shift();
    if (oldest === undefined) return;
    this.#loaded = this.#loaded.filter((other) => other !== oldest);
    this.evicted += oldest.rows;
    this.#evictedMs = Math.max(this.#evictedMs, oldest.toMs);
    await oldest.remove();
  }

  async close(): Promise<void> {
    for (const segment of this.#loaded) await segment.unload();
    this.#loaded = [];
  }
}

function mayHave(segment: Segment, sought: Sought): boolean {
  return sought.by === 'decision'
    ? segment.mayHaveRow(sought.engine, sought.row + sought.index)
    : segment.mayHaveCaller(sought.hash);
}
