import type { Manifest } from '../../../protocol/manifest.ts';
import { readJsonFloats } from './json-floats.ts';
import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  endOfString,
  endOfValue,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  skipBlank,
} from './json-walk.ts';

/** Where a walk over the body costs less than it saves. */
export const MIN_LIFTED_BYTES = 2048;

const BACKSLASH = '\\';
const EMPTY_ARRAY = Buffer.from('[]');

/** Numbers of one input, and how their brackets nest. */
export interface LiftedNumbers {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** A request's JSON with empty arrays where the numbers were, and the numbers, by the index of their input. */
export interface LiftedData {
  readonly json: Buffer;
  readonly numbers: ReadonlyMap<number, LiftedNumbers>;
}

interface Span extends LiftedNumbers {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Takes the numbers of a large request out of its JSON as FP32, which is faster than to let `JSON.parse` make doubles in
 * an array of them. Null where there is nothing to gain: the body is short, an input is of another datatype, or the
 * text is not laid out as a request is; what is left in the JSON is for the ordinary way, and so is every error.
 */
export function liftData(body: Buffer, { inputs }: Manifest): LiftedData | null {
  if (body.length < MIN_LIFTED_BYTES) return null;
  if (!inputs.every(({ datatype }) => datatype === 'FP32')) return null;
  const spans = dataSpans(body);
  if (spans === null || spans.length === 0) return null;
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    pieces.push(body.subarray(at, start), EMPTY_ARRAY);
    at = end;
  }
  pieces.push(body.subarray(at));
  const numbers = new Map(spans.map(({ index, values, shape }) => [index, { values, shape }]));
  return { json: Buffer.concat(pieces), numbers };
}

/** The arrays of numbers at `inputs[index].data`, in their order; null where a name is given twice or the text is not JSON. */
function dataSpans(json: Buffer): Span[] | null {
  const spans: Span[] = [];
  const input = (index: number) => (name: string, start: number) => {
    if (name !== 'data' || json[start] !== OPEN_ARRAY) return endOfValue(json, start);
    const numbers = readJsonFloats(json, start);
    if (numbers === null) return endOfValue(json, start);
    const { values, shape, end } = numbers;
    spans.push({ index, start, end, values, shape });
    return end;
  };
  const start = skipBlank(json, 0);
  if (json[start] !== OPEN_OBJECT) return null;
  const end = walkObject(json, start, (name, at) =>
    name === 'inputs' && json[at] === OPEN_ARRAY
      ? walkArray(json, at, (index, entry) =>
          json[entry] === OPEN_OBJECT
            ? walkObject(json, entry, input(index))
            : endOfValue(json, entry),
        )
      : endOfValue(json, at),
  );
  return end === -1 ? null : spans;
}

/** Visits the members of the object at `start`, each visitor returning the offset after its value or -1; so does this. */
function walkObject(
  json: Buffer,
  start: number,
  visit: (name: string, start: number) => number,
): number {
  const names = new Set<string>();
  let at = skipBlank(json, start + 1);
  while (json[at] === QUOTE) {
    const end = endOfString(json, at);
    const name = json.toString('latin1', at + 1, end);
    const colon = skipBlank(json, end + 1);
    // A name with escapes can be any name, and of a name given twice JSON.parse takes the last.
    if (json[colon] !== COLON || names.has(name) || name.includes(BACKSLASH)) return -1;
    names.add(name);
    at = visit(name, skipBlank(json, colon + 1));
    if (at === -1) return -1;
    at = skipBlank(json, at);
    if (json[at] === CLOSE_OBJECT) return at + 1;
    if (json[at] !== COMMA) return -1;
    at = skipBlank(json, at + 1);
  }
  return json[at] === CLOSE_OBJECT ? at + 1 : -1;
}

function walkArray(
  json: Buffer,
  start: number,
  visit: (index: number, start: number) => number,
): number {
  let at = skipBlank(json, start + 1);
  if (json[at] === CLOSE_ARRAY) return at + 1;
  for (let index = 0; ; index += 1) {
    at = visit(index, at);
    if (at === -1) return -1;
    at = skipBlank(json, at);
    if (json[at] === CLOSE_ARRAY) return at + 1;
    if (json[at] !== COMMA) return -1;
    at = skipBlank(json, at + 1);
  }
}
