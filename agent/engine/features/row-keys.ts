import type { FeatureLookup } from '../../../protocol/feature-lookup.ts';
import type { Tensor } from '../model/runtime.ts';
import { showValue } from '../model/tensor-data.ts';
import { OipError } from '../serve/oip-error.ts';

/** Rows of one request: each is a key that the feature server has to look up. */
export const MAX_LOOKUP_ROWS = 4096;
/** No entity has a longer name; keys are kept in memory. */
export const MAX_KEY_CHARACTERS = 1024;

/** The keys of one row, as JSON writes them and in the order of the lookup's entities. */
export interface RowKey {
  /** Equal for equal keys. */
  readonly text: string;
  readonly literals: readonly string[];
}

/** The key of each row. Throws `OipError` 'bad_request'. */
export function rowKeys(
  { entities }: Pick<FeatureLookup, 'entities'>,
  inputs: ReadonlyMap<string, Tensor>,
): RowKey[] {
  const columns = entities.map(({ name }) => {
    const tensor = inputs.get(name);
    if (tensor === undefined) throw bad(`entity "${name}" is missing`);
    return { name, data: tensor.data };
  });
  const [first] = columns;
  const rows = first.data.length;
  if (rows > MAX_LOOKUP_ROWS) {
    throw bad(`"${first.name}" has ${rows} keys; a request has at most ${MAX_LOOKUP_ROWS}`);
  }
  const other = columns.find(({ data }) => data.length !== rows);
  if (other !== undefined) {
    throw bad(
      `"${first.name}" has ${rows} keys and "${other.name}" ${other.data.length}; give one of each for every row`,
    );
  }
  return Array.from({ length: rows }, (_, row) => {
    const literals = columns.map(({ name, data }) => literalOf(name, data[row], row));
    return { literals, text: literals.length === 1 ? literals[0] : literals.join() };
  });
}

function literalOf(name: string, value: number | bigint | string, row: number): string {
  if (typeof value !== 'string') return String(value);
  if (value.length > MAX_KEY_CHARACTERS) {
    throw bad(
      `"${name}"[${row}] is ${showValue(value)}… of ${value.length} characters; a key has at most ${MAX_KEY_CHARACTERS}`,
    );
  }
  return JSON.stringify(value);
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
