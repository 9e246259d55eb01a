import { endOfString } from './json-depth.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

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

function endOfValue(json: Buffer, start: number): number {
  const first = json[start];
  if (first === QUOTE) return endOfString(json, start) + 1;
  if (first !== OPEN_ARRAY && first !== OPEN_OBJECT) return endOfLiteral(json, start);
  let depth = 0;
  for (let at = start; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) at = endOfString(json, at);
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) depth += 1;
    else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return json.length;
}

function endOfLiteral(json: Buffer, start: number): number {
  let at = start;
  while (at < json.length && !isStructure(json[at])) at += 1;
  return at;
}

/** White space, a bracket, a comma or a colon: where a number, `true`, `false` or `null` ends. */
function isStructure(byte: number): boolean {
  if (byte <= 0x20 || byte === COMMA || byte === COLON) return true;
  return (
    byte === OPEN_ARRAY || byte === CLOSE_ARRAY || byte === OPEN_OBJECT || byte === CLOSE_OBJECT
  );
}

function skipBlank(json: Buffer, start: number): number {
  let at = start;
  while (json[at] <= 0x20) at += 1;
  return at;
}
