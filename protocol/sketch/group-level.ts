import { type GroupAxis, levelsOf } from './group.ts';

/** A value as a tensor, a request parameter or a baseline's column gives it. */
export type GroupValue = number | string | bigint | boolean | null | undefined;

/**
 * Which level of one attribute a row belongs to: a value of the axis or an interval, then "other" (a value that the
 * reference did not have), then "missing" (none, empty text, or NaN).
 *
 * A number equals its text, and its nearest float32: a request's "1" is the baseline's 1, and a tensor's 0.1 the
 * manifest's.
 */
export class GroupLevels {
  readonly other: number;
  readonly missing: number;
  readonly #edges: readonly number[] | null;
  readonly #levels = new Map<number | string, number>();

  constructor(axis: GroupAxis) {
    this.missing = levelsOf(axis) - 1;
    this.other = this.missing - 1;
    this.#edges = axis.kind === 'edges' ? axis.edges : null;
    if (axis.kind === 'edges') return;
    for (const [level, value] of axis.values.entries()) {
      this.#levels.set(String(value), level);
      const number = Number(value);
      if (value === '' || !Number.isFinite(number)) continue;
      this.#levels.set(number, level);
      this.#levels.set(Math.fround(number), level);
    }
  }

  /** No allocation for numbers and text. */
  of(value: GroupValue): number {
    if (value === null || value === undefined || value === '') return this.missing;
    if (typeof value === 'number') return this.#ofNumber(value);
    if (typeof value === 'bigint') return this.#ofNumber(Number(value));
    const text = typeof value === 'boolean' ? String(value) : value;
    if (this.#edges === null) return this.#levels.get(text) ?? this.other;
    const number = Number(text);
    return Number.isNaN(number) ? this.other : this.#ofNumber(number);
  }

  #ofNumber(value: number): number {
    if (Number.isNaN(value)) return this.missing;
    const edges = this.#edges;
    if (edges === null) return this.#levels.get(value) ?? this.other;
    // At most 15 edges: a walk is quicker than halving.
    let level = 0;
    while (level < edges.length && value >= edges[level]) level += 1;
    return level;
  }
}
