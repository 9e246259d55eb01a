import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COMMA,
  endOfString,
  endOfValue,
  isStructure,
  OPEN_ARRAY,
  OPEN_OBJECT,
  skipBlank,
} from './json-walk.ts';

/**
 * The text of numbers in a request body that `JSON.parse` has rounded: it makes 9007199254740993 into ...992 and
 * nothing of that shows afterwards. Looked at only when such a number was seen, in one pass over the body.
 * The body must be valid JSON, which it is once `JSON.parse` has taken it.
 */
export class JsonScalars {
  readonly #json: Buffer;
  #dataAt: number[] | null = null;

  constructor(json: Buffer) {
    this.#json = json;
  }

  /** Every scalar within `inputs[index].data`, flat and in order, as it is written; strings with their quotes. */
  ofInput(index: number): string[] {
    this.#dataAt ??= dataOffsets(this.#json);
    const start = this.#dataAt[index] ?? -1;
    return start === -1 ? [] : scalars(this.#json, start);
  }
}

/** Where the data of each input begin; -1 for an input without. */
function dataOffsets(json: Buffer): number[] {
  const inputs = memberAt(json, skipBlank(json, 0), 'inputs');
  const offsets: number[] = [];
  if (json[inputs] !== OPEN_ARRAY) return offsets;
  let at = skipBlank(json, inputs + 1);
  while (json[at] !== CLOSE_ARRAY) {
    offsets.push(json[at] === OPEN_OBJECT ? memberAt(json, at, 'data') : -1);
    at = skipBlank(json, endOfValue(json, at));
    if (json[at] === COMMA) at = skipBlank(json, at + 1);
  }
  return offsets;
}

/** Offset of a member's value in the object at `start`, or -1. The last of equal names counts, as in `JSON.parse`. */
function memberAt(json: Buffer, start: number, name: string): number {
  let found = -1;
  let at = skipBlank(json, start + 1);
  while (json[at] !== CLOSE_OBJECT) {
    const end = endOfString(json, at) + 1;
    // Parsed, because a name may be written with escapes.
    const key: unknown = JSON.parse(json.toString('utf8', at, end));
    const value = skipBlank(json, skipBlank(json, end) + 1);
    if (key === name) found = value;
    at = skipBlank(json, endOfValue(json, value));
    if (json[at] === COMMA) at = skipBlank(json, at + 1);
  }
  return found;
}

function scalars(json: Buffer, start: number): string[] {
  const texts: string[] = [];
  const end = endOfValue(json, start);
  let at = start;
  while (at < end) {
    if (isStructure(json[at])) at += 1;
    else {
      const next = endOfValue(json, at);
      texts.push(json.toString('latin1', at, next));
      at = next;
    }
  }
  return texts;
}
