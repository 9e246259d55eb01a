import { BLOCK, FIXED64, ProtoReader, VARINT } from './proto-reader.ts';

/** Entries of one message's parameters, whether or not their keys differ: any real client sends a handful. */
const MAX_PARAMETERS = 64;
/** Fields of one entry and of its value: a key and a value, and one member. */
const MAX_ENTRY_FIELDS = 8;

const KEY = 1 * 8 + BLOCK;
const VALUE = 2 * 8 + BLOCK;

const BOOL = 1 * 8 + VARINT;
const INT64 = 2 * 8 + VARINT;
const STRING = 3 * 8 + BLOCK;
const DOUBLE = 4 * 8 + FIXED64;
const UINT64 = 5 * 8 + VARINT;
const FILE = 4 * 8 + BLOCK;

type Value = boolean | number | bigint | string;

/** Parameters of a request, an input or an output, by name. */
export type Parameters = ReadonlyMap<string, Value>;

export const NO_PARAMETERS: Parameters = new Map();

/**
 * One more entry of a `map<string, InferParameter>`, or of what `read` reads, after `before` others; of equal keys the
 * last one counts. An entry whose oneof is not set says nothing and is left out. Throws `OipError` 'bad_request'.
 */
export function readParameter(
  known: Parameters,
  entry: Buffer,
  before: number,
  read: (value: Buffer) => Value | null = readValue,
): Parameters {
  const reader = new ProtoReader(entry, 'InferParameter entry', MAX_ENTRY_FIELDS);
  if (before === MAX_PARAMETERS) throw reader.broken(`more than ${MAX_PARAMETERS} parameters`);
  let key = '';
  let value: Value | null = null;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === KEY) key = reader.text();
    // An embedded message that comes twice is merged: its oneof keeps the later value, if there is one.
    else if (tag === VALUE) value = read(reader.block()) ?? value;
    else reader.skip(tag);
  }
  // Only the empty map is shared.
  const parameters =
    known === NO_PARAMETERS ? new Map<string, Value>() : (known as Map<string, Value>);
  if (value === null) parameters.delete(key);
  else parameters.set(key, value);
  return parameters;
}

/** A `ModelRepositoryParameter`; of bytes only that they are there, since no file is taken. */
export function readRepositoryValue(bytes: Buffer): Value | null {
  const reader = new ProtoReader(bytes, 'ModelRepositoryParameter', MAX_ENTRY_FIELDS);
  let value: Value | null = null;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BOOL) value = reader.bool();
    else if (tag === INT64) value = reader.int64();
    else if (tag === STRING) value = reader.text();
    else if (tag === FILE) value = reader.block().length;
    else reader.skip(tag);
  }
  return value;
}

/** The last member that is set wins, as in every oneof. */
function readValue(bytes: Buffer): Value | null {
  const reader = new ProtoReader(bytes, 'InferParameter', MAX_ENTRY_FIELDS);
  let value: Value | null = null;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BOOL) value = reader.bool();
    else if (tag === INT64) value = reader.bigInt64();
    else if (tag === UINT64) value = BigInt.asUintN(64, reader.bigInt64());
    else if (tag === STRING) value = reader.text();
    else if (tag === DOUBLE) value = reader.double();
    else reader.skip(tag);
  }
  return value;
}
