export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
const BACKSLASH = 0x5c;

/** Index of the quote that closes the string opened at `start`. */
export function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** Offset after the value that begins at `start`; any, where the text is not JSON. */
export function endOfValue(json: Uint8Array, start: number): number {
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

function endOfLiteral(json: Uint8Array, start: number): number {
  let at = start;
  while (at < json.length && !isStructure(json[at])) at += 1;
  return at;
}

/** White space, a bracket, a comma or a colon: where a number, `true`, `false` or `null` ends. */
export function isStructure(byte: number): boolean {
  if (byte <= 0x20 || byte === COMMA || byte === COLON) return true;
  return (
    byte === OPEN_ARRAY || byte === CLOSE_ARRAY || byte === OPEN_OBJECT || byte === CLOSE_OBJECT
  );
}

export function skipBlank(json: Uint8Array, start: number): number {
  let at = start;
  while (json[at] <= 0x20) at += 1;
  return at;
}
