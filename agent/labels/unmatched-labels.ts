import type { DecisionRecords } from '../engine/observe/decision-record.ts';
import type { PostedLabel } from '../engine/posted-label.ts';
import type { Sought } from './decision-log.ts';

/** Labels without a row, of one deployment: a few MB at most. */
export const MAX_UNMATCHED = 10_000;
/** Rows are written down within seconds of their answers: a row that has not come by then never will. */
export const UNMATCHED_MS = 600_000;

export interface Unmatched {
  readonly label: PostedLabel;
  readonly sought: Sought;
  /** When it was posted. */
  readonly atMs: number;
}

/** Labels that came before the rows they are for. In memory, bounded in number and time; the oldest go first. */
export class UnmatchedLabels {
  readonly #waiting = new Map<string, Unmatched>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Of two for the same row the first is kept. */
  add(unmatched: Unmatched): void {
    const key = keyOf(unmatched.sought);
    if (!this.#waiting.has(key)) this.#waiting.set(key, unmatched);
    if (this.#waiting.size <= MAX_UNMATCHED) return;
    const [oldest] = this.#waiting.keys();
    this.#waiting.delete(oldest);
  }

  /** Takes out those that these rows were waited for by. */
  match(engine: number, records: DecisionRecords): Unmatched[] {
    if (this.#waiting.size === 0) return [];
    const matched: Unmatched[] = [];
    for (let at = 0; at < records.rows; at += 1) {
      const index = records.index(at);
      this.#take(rowKey(engine, records.row(at), index), matched);
      if (records.caller(at) !== 0) this.#take(callerKey(records.caller(at), index), matched);
    }
    return matched;
  }

  #take(key: string, into: Unmatched[]): void {
    const unmatched = this.#waiting.get(key);
    if (unmatched === undefined) return;
    this.#waiting.delete(key);
    into.push(unmatched);
  }

  /** Gives up those that have waited too long. */
  expire(nowMs: number): void {
    for (const [key, { atMs }] of this.#waiting) {
      if (nowMs - atMs < UNMATCHED_MS) return;
      this.#waiting.delete(key);
    }
  }
}

function keyOf(sought: Sought): string {
  return sought.by === 'decision'
    ? rowKey(sought.engine, sought.row + sought.index, sought.index)
    : callerKey(sought.hash, sought.index);
}

function rowKey(engine: number, row: number, index: number): string {
  return `${engine} ${row} ${index}`;
}

function callerKey(hash: number, index: number): string {
  return `c ${hash} ${index}`;
}
