import type { FeatureRow } from './feature-answer.ts';

/** Rows by their keys: those used last, up to a number of them, each up to an age. */
export class RowCache {
  readonly #entries: number;
  readonly #ageMs: number;
  /** In the order of their last use: the first is the next to go. */
  readonly #rows = new Map<string, { readonly row: FeatureRow; readonly untilMs: number }>();

  /** `ageMs` 0: keeps nothing. */
  constructor(entries: number, ageMs: number) {
    this.#entries = entries;
    this.#ageMs = ageMs;
  }

  get(key: string, nowMs: number): FeatureRow | null {
    const kept = this.#rows.get(key);
    if (kept === undefined) return null;
    this.#rows.delete(key);
    if (nowMs >= kept.untilMs) return null;
    this.#rows.set(key, kept);
    return kept.row;
  }

  set(key: string, row: FeatureRow, nowMs: number): void {
    if (this.#ageMs === 0) return;
    this.#rows.delete(key);
    this.#rows.set(key, { row, untilMs: nowMs + this.#ageMs });
    if (this.#rows.size <= this.#entries) return;
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest);
      return;
    }
  }

  get size(): number {
    return this.#rows.size;
  }
}
