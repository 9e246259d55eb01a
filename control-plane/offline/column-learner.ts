import { addDistinct, distinct, REGISTERS } from '../../protocol/sketch/cardinality.ts';
import { MAX_CATEGORIES } from '../../protocol/sketch/frequency.ts';
import { hashText } from '../../protocol/sketch/value-hash.ts';
import type { FeatureGrid } from '../../protocol/sketch/window.ts';
import { NumberLearner } from './number-learner.ts';
import type { Cell, ColumnData } from './table.ts';

/** Share of the values that must be numbers for a column to be compared as numbers; the rest counts as missing. */
export const NUMERIC_SHARE = 0.95;
/** Share of the rows that have a value of their own, from which on a text names its row. */
const UNIQUE_SHARE = 0.9;
/** Fewer rows have values of their own by chance. */
const UNIQUE_ROWS = 50;
/** Words in a value, on average, from which on it is prose. */
const PROSE_WORDS = 4;
const DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?( ?(Z|[+-]\d{2}:?\d{2}))?$/;

/** What a column is, by its reference, and how both sides are counted. */
export type ColumnPlan =
  | { readonly kind: 'numeric' | 'text'; readonly grid: FeatureGrid & { kind: 'numeric' } }
  | { readonly kind: 'categorical'; readonly grid: FeatureGrid & { kind: 'categorical' } }
  | { readonly kind: 'hashed'; readonly grid: FeatureGrid & { kind: 'hashed' } }
  | { readonly kind: 'numeric' | 'datetime' | 'id'; readonly grid: null; readonly reason: string };

export const DATETIME_REASON =
  'times move on by themselves; derive what matters (hour, weekday, age) into a column of its own';

/** Goes over a column of the reference once, in memory that does not grow with its rows. */
export class ColumnLearner {
  readonly #numbers = new NumberLearner();
  readonly #lengths = new NumberLearner();
  #numberCount = 0;
  #rising = true;
  #last = -Infinity;
  #texts = 0;
  #dates = 0;
  #words = 0;
  /** How often each value stood there, until there are more than categories are told apart. */
  #categories: Map<string, number> | null = new Map();
  readonly #registers = new Uint8Array(REGISTERS);

  add(data: ColumnData): void {
    if (data.kind === 'numbers') this.#addNumbers(data.values);
    else this.#addCells(data.values);
  }

  plan(): ColumnPlan {
    const values = this.#numberCount + this.#texts + this.#dates;
    if (values === 0) return { kind: 'numeric', grid: null, reason: 'the reference has no value' };
    if (this.#dates >= NUMERIC_SHARE * values) {
      return { kind: 'datetime', grid: null, reason: DATETIME_REASON };
    }
    return this.#numberCount >= NUMERIC_SHARE * values ? this.#asNumbers() : this.#asTexts();
  }

  #asNumbers(): ColumnPlan {
    if (this.#rising && this.#numberCount >= UNIQUE_ROWS) {
      return {
        kind: 'id',
        grid: null,
        reason: 'whole numbers, each larger than the one before: they name the row',
      };
    }
    const grid = this.#numbers.grid();
    if (grid === null) {
      return { kind: 'numeric', grid: null, reason: 'the reference has no finite number' };
    }
    return { kind: 'numeric', grid: { kind: 'numeric', ...grid } };
  }

  #asTexts(): ColumnPlan {
    if (this.#categories !== null) {
      const values = [...this.#categories]
        .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
        .map(([value]) => value);
      const own = values.length >= UNIQUE_SHARE * (this.#texts + this.#numberCount);
      if (!own || values.length < UNIQUE_ROWS) {
        return { kind: 'categorical', grid: { kind: 'categorical', values } };
      }
    }
    const lengths = this.#lengths.grid();
    if (this.#words >= PROSE_WORDS * this.#texts && lengths !== null) {
      return { kind: 'text', grid: { kind: 'numeric', ...lengths } };
    }
    if (distinct(this.#registers) >= UNIQUE_SHARE * this.#texts) {
      return { kind: 'id', grid: null, reason: 'nearly every row has a value of its own' };
    }
    return { kind: 'hashed', grid: { kind: 'hashed' } };
  }

  #addNumbers(values: Float64Array): void {
    this.#numberCount += values.length;
    this.#numbers.add(values);
    for (let at = 0; this.#rising && at < values.length; at += 1) {
      this.#rising = Number.isInteger(values[at]) && values[at] > this.#last;
      this.#last = values[at];
    }
    // A column that turns out to be categories has its numbers among them.
    for (let at = 0; this.#categories !== null && at < values.length; at += 1) {
      this.#addCategory(String(values[at]));
    }
  }

  #addCells(cells: readonly Cell[]): void {
    const numbers: number[] = [];
    const lengths: number[] = [];
    for (const cell of cells) {
      if (typeof cell === 'number') numbers.push(cell);
      else if (cell instanceof Date || (typeof cell === 'string' && isDate(cell))) {
        this.#dates += 1;
        this.#addCategory(textOfCell(cell));
      } else if (cell !== null) {
        const text = textOfCell(cell);
        lengths.push(text.length);
        this.#addText(text);
      }
    }
    this.#lengths.add(Float64Array.from(lengths));
    this.#addNumbers(Float64Array.from(numbers));
  }

  #addText(text: string): void {
    this.#texts += 1;
    this.#words += wordsIn(text);
    addDistinct(this.#registers, hashText(text));
    this.#addCategory(text);
  }

  #addCategory(value: string): void {
    if (this.#categories === null) return;
    this.#categories.set(value, (this.#categories.get(value) ?? 0) + 1);
    if (this.#categories.size > MAX_CATEGORIES) this.#categories = null;
  }
}

/** Only what has its dash where a date has it is worth the expression. */
function isDate(text: string): boolean {
  return text.charCodeAt(4) === 0x2d && DATE.test(text);
}

/** As both sides are compared by: a number of a mixed column and a date have one spelling each. */
export function textOfCell(cell: Exclude<Cell, null>): string {
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

function wordsIn(text: string): number {
  let words = 1;
  for (let at = text.indexOf(' '); at !== -1; at = text.indexOf(' ', at + 1)) words += 1;
  return words;
}
