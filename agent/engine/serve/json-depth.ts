import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  endOfString,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from './json-walk.ts';

/**
 * Do arrays and objects in JSON text nest deeper than `limit`? Looked at before the text is parsed: V8 takes
 * 15 s for 60 MB of opening brackets, this a few milliseconds. Says nothing of whether the text is JSON.
 */
export function nestsDeeperThan(json: Uint8Array, limit: number): boolean {
  // Most bodies are long lists of numbers with a few brackets, which are found faster than all bytes are walked.
  if (!hasMoreThan(json, OPEN_ARRAY, OPEN_OBJECT, limit)) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > limit) return true;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1;
    else if (byte === QUOTE) at = endOfString(json, at);
  }
  return false;
}

function hasMoreThan(json: Uint8Array, byte: number, other: number, count: number): boolean {
  let left = count;
  for (const wanted of [byte, other]) {
    for (let at = json.indexOf(wanted); at !== -1; at = json.indexOf(wanted, at + 1)) {
      if (left === 0) return true;
      left -= 1;
    }
  }
  return false;
}
