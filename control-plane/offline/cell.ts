import type { Cell } from './table.ts';

/** Texts that stand for no value, as pandas reads them; in any case, spaces around them aside. */
const MISSING = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', '#n/a', '-nan', '<na>']);
const INFINITE: Readonly<Record<string, number>> = {
  inf: Infinity,
  '+inf': Infinity,
  '-inf': -Infinity,
  infinity: Infinity,
  '-infinity': -Infinity,
};
const DIGITS = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** The longest text that is tried as a word of the tables above. */
const LONGEST_WORD = 12;

/** What a field of a CSV says: a number, true or false, a text as it stands, or nothing. */
export function cellOfText(text: string): Cell {
  const first = text.charCodeAt(0);
  // Digits, '+', '-', '.' and space: all that a number may begin with.
  if ((first >= 0x30 && first <= 0x39) || (first >= 0x2b && first <= 0x2e) || first === 0x20) {
    const trimmed = text.trim();
    if (DIGITS.test(trimmed)) return Number(trimmed);
  }
  if (text.length > LONGEST_WORD) return text;
  const word = text.trim().toLowerCase();
  if (MISSING.has(word)) return null;
  if (word === 'true') return true;
  if (word === 'false') return false;
  return INFINITE[word] ?? text;
}

/** What a value of a JSON line, or of a row in memory, says. Lists and objects become their JSON. */
export function cellOfValue(value: unknown): Cell {
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') {
    return value;
  }
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value;
  return JSON.stringify(value) ?? null;
}
