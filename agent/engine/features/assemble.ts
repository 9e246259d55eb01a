import type { FeatureLookup } from '../../../protocol/feature-lookup.ts';
import { type Element, elementOf } from '../../../protocol/feature-value.ts';
import { rowWidth } from '../../../protocol/manifest.ts';
import type { Datatype, TensorSpec } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';
import { OipError } from '../serve/oip-error.ts';
import type { FeatureRow } from './feature-answer.ts';
import type { RowKey } from './row-keys.ts';

/** Elements of a tensor, by their place in it, that were put there for want of a value. */
export type Gaps = ReadonlyMap<string, ReadonlySet<number>>;

/** What the model is given. */
export interface AssembledInputs {
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Null: every value was there. */
  readonly gaps: Gaps | null;
  /** Elements in the gaps. */
  readonly defaulted: number;
}

interface Place {
  readonly feature: string;
  /** Where a row holds it. */
  readonly at: number;
  readonly index: number;
  readonly fallback: Element | null;
}

interface Filled {
  readonly spec: TensorSpec;
  readonly width: number;
  readonly places: readonly Place[];
}

/** A row of features, or why there is none. */
export type FoundRow = FeatureRow | OipError;

/** Puts features into the places that a lookup names. Made once for a model and a lookup that fit together. */
export class Assembly {
  readonly #specs: readonly TensorSpec[];
  readonly #filled: ReadonlyMap<string, Filled>;

  /** `features`: the order of a row. */
  constructor(
    inputs: readonly TensorSpec[],
    lookup: Pick<FeatureLookup, 'columns' | 'onMissing'>,
    features: readonly string[],
  ) {
    this.#specs = inputs;
    const filled = new Map<string, Filled>();
    for (const spec of inputs) {
      const places = lookup.columns
        .filter(({ tensor }) => tensor === spec.name)
        .map(({ feature, index, default: fallback }) => ({
          feature,
          at: features.indexOf(feature),
          index,
          fallback:
            lookup.onMissing === 'refuse' || fallback === undefined
              ? null
              : elementOf(spec.datatype, fallback),
        }));
      if (places.length > 0) {
        filled.set(spec.name, { spec, width: rowWidth(spec.shape) ?? 1, places });
      }
    }
    this.#filled = filled;
  }

  /**
   * The model's inputs. `given` has those that are not wholly looked up. Throws `OipError`: 'bad_request' when its rows
   * are not as many as there are keys, 'feature_missing', and what took the place of a row, where no default may.
   */
  assemble(
    given: ReadonlyMap<string, Tensor>,
    keys: readonly RowKey[],
    rows: readonly FoundRow[],
  ): AssembledInputs {
    const inputs = new Map<string, Tensor>();
    const gaps = new Map<string, Set<number>>();
    let defaulted = 0;
    for (const spec of this.#specs) {
      const own = given.get(spec.name) ?? null;
      const filled = this.#filled.get(spec.name);
      checkRows(spec, filled !== undefined, own, rows.length);
      if (filled === undefined) {
        if (own !== null) inputs.set(spec.name, own);
        continue;
      }
      const missing = new Set<number>();
      inputs.set(spec.name, fill(filled, own, keys, rows, missing));
      defaulted += missing.size;
      if (missing.size > 0) gaps.set(spec.name, missing);
    }
    return { inputs, gaps: defaulted === 0 ? null : gaps, defaulted };
  }
}

function checkRows(spec: TensorSpec, filled: boolean, own: Tensor | null, rows: number): void {
  const given = own === null ? spec.shape[0] : own.shape[0];
  if (given === rows || given === undefined || given === -1) return;
  // An input of one fixed shape has nothing to do with rows, unless features are put into it.
  if (!filled && spec.shape[0] !== -1) return;
  const what = own === null ? `takes ${given} rows` : `has ${given} rows`;
  throw new OipError('bad_request', `input "${spec.name}" ${what}, and there are ${rows} keys`);
}

function fill(
  { spec, width, places }: Filled,
  own: Tensor | null,
  keys: readonly RowKey[],
  rows: readonly FoundRow[],
  missing: Set<number>,
): Tensor {
  const { datatype, shape, name } = spec;
  const data = own === null ? emptyData(datatype, rows.length * width) : own.data.slice();
  const elements = data as Element[];
  for (const place of places) {
    for (let row = 0, to = place.index; row < rows.length; row += 1, to += width) {
      const found = rows[row];
      const value = found instanceof OipError ? null : found[place.at];
      const element = value === null ? null : elementOf(datatype, value);
      if (element !== null) {
        elements[to] = element;
        continue;
      }
      if (place.fallback === null) throw refusal(place, name, datatype, keys[row], found);
      elements[to] = place.fallback;
      missing.add(to);
    }
  }
  return { datatype, shape: [rows.length, ...shape.slice(1)], data };
}

function refusal(
  { feature, at }: Place,
  tensor: string,
  datatype: Datatype,
  { text }: RowKey,
  found: FoundRow,
): OipError {
  if (found instanceof OipError) return found;
  const key = text.slice(0, 100);
  const value = found[at];
  return value === null
    ? new OipError('feature_missing', `there is no "${feature}" for the key ${key}`)
    : new OipError(
        'feature_server_failed',
        `"${feature}" of the key ${key} is ${String(value).slice(0, 60)}, which "${tensor}" (${datatype}) cannot hold`,
      );
}

const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

function emptyData(datatype: Datatype, length: number): TensorData {
  return datatype === 'BYTES' ? new Array<string>(length).fill('') : new ARRAYS[datatype](length);
}
