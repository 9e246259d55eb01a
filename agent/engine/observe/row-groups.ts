import type { Manifest } from '../../../protocol/manifest.ts';
import type { GroupAxis } from '../../../protocol/sketch/group.ts';
import { GroupLevels, type GroupValue } from '../../../protocol/sketch/group-level.ts';
import type { TensorData } from '../model/runtime.ts';
import { parameterOf } from '../serve/request-parameters.ts';
import type { Answered } from './recorder.ts';

/** The parameter of a request that holds all groups as an object; `group.<attribute>` holds one of them. */
const GROUP_PARAMETER = 'group';

/** One attribute: where its values come from in the request at hand, and which levels they are. */
class Source {
  readonly attribute: string;
  /** Its parameter where parameters are plain values: put together once, and not for each request. */
  readonly flat: string;
  readonly levels: GroupLevels;
  /** Null: a parameter of the request. */
  readonly feature: { readonly tensor: string; readonly index: number } | null;
  data: TensorData | null = null;
  width = 0;
  missing: ReadonlySet<number> | null = null;
  perRow: readonly unknown[] | null = null;
  /** Level of every row, where one value is given for all of them. */
  level = 0;

  constructor(axis: GroupAxis, { features, groups }: Manifest) {
    this.attribute = axis.attribute;
    this.flat = `${GROUP_PARAMETER}.${axis.attribute}`;
    this.levels = new GroupLevels(axis);
    const group = groups.find(({ attribute }) => attribute === axis.attribute);
    const place = features.find(({ name }) => name === axis.attribute);
    this.feature = group?.from === 'feature' && place !== undefined ? place : null;
  }

  begin({ inputs, gaps, parameters, rows }: Answered): void {
    this.data = null;
    this.perRow = null;
    this.level = this.levels.missing;
    if (this.feature !== null) {
      const { tensor } = this.feature;
      this.data = inputs.get(tensor)?.data ?? null;
      this.width = this.data === null || rows === 0 ? 0 : this.data.length / rows;
      this.missing = gaps?.get(tensor) ?? null;
      return;
    }
    const given = groupParameter(parameters ?? null, this);
    // A list that does not have one value for each row says nothing about any of them.
    if (Array.isArray(given)) this.perRow = given.length === rows ? given : null;
    else this.level = this.levels.of(scalar(given));
  }

  of(row: number): number {
    if (this.data !== null && this.feature !== null) {
      const at = row * this.width + this.feature.index;
      return this.missing?.has(at) ? this.levels.missing : this.levels.of(this.data[at]);
    }
    return this.perRow === null ? this.level : this.levels.of(scalar(this.perRow[row]));
  }
}

/** Tells to which groups the rows of a request belong. */
export class RowGroups {
  readonly #sources: readonly Source[];

  constructor(manifest: Manifest, axes: readonly GroupAxis[]) {
    this.#sources = axes.map((axis) => new Source(axis, manifest));
  }

  begin(answer: Answered): void {
    for (let at = 0; at < this.#sources.length; at += 1) this.#sources[at].begin(answer);
  }

  /** Levels of a row of the request that `begin` was told of. */
  read(row: number, into: Uint8Array): void {
    for (let at = 0; at < this.#sources.length; at += 1) into[at] = this.#sources[at].of(row);
  }
}

/** `parameters: {"group": {"sex": "f"}}`, or `"group.sex": "f"` where parameters are plain values, as in gRPC. */
function groupParameter(
  parameters: object | null,
  { attribute, flat }: { readonly attribute: string; readonly flat: string },
): unknown {
  if (parameters === null) return null;
  const plain = parameterOf(parameters, flat);
  if (plain !== null) return plain;
  const all = parameterOf(parameters, GROUP_PARAMETER);
  if (typeof all !== 'object' || all === null || Array.isArray(all)) return null;
  return parameterOf(all, attribute);
}

/** Anything else than a value is no group that anybody has seen: its text is "other". */
function scalar(value: unknown): GroupValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
      return value;
    default:
      return value === null || value === undefined ? null : '{}';
  }
}
