import { SketchError } from './error.ts';

/** Values of one protected attribute that are counted apart; the rest is "other". */
export const MAX_GROUP_VALUES = 16;

/** Cells of one version: everyone, each value of each attribute, and each pair of values of two attributes. */
export const MAX_GROUP_CELLS = 512;

/**
 * How the rows of one attribute are told apart. `values`: one cell each, in this order; `edges`: inner edges of
 * intervals closed on the left, as in a histogram (an age). Two more cells follow: "other" (a value that the reference
 * did not have) and "missing".
 */
export type GroupAxis =
  | {
      readonly attribute: string;
      readonly kind: 'values';
      readonly values: readonly (string | number)[];
    }
  | { readonly attribute: string; readonly kind: 'edges'; readonly edges: readonly number[] };

/** Names one cell: no pairs for everyone, one for an attribute, two for an intersection. */
export interface GroupCell {
  readonly of: readonly { readonly attribute: string; readonly level: number }[];
}

/** Levels of an axis, "other" and "missing" included. */
export function levelsOf(axis: GroupAxis): number {
  return (axis.kind === 'values' ? axis.values.length : axis.edges.length + 1) + 2;
}

/** A level for people: a value, an interval, `other` or `missing`. */
export function levelName(axis: GroupAxis, level: number): string {
  const own = axis.kind === 'values' ? axis.values.length : axis.edges.length + 1;
  if (level >= own) return level === own ? 'other' : 'missing';
  if (axis.kind === 'values') return String(axis.values[level]);
  const { edges } = axis;
  if (edges.length === 0) return 'any';
  if (level === 0) return `<${edges[0]}`;
  return level === edges.length ? `≥${edges[level - 1]}` : `${edges[level - 1]}–${edges[level]}`;
}

/**
 * The cells of a list of attributes, in the order in which they are counted: everyone, the levels of each attribute,
 * then the pairs of each two attributes (first attribute slowest).
 *
 * @throws SketchError `limit` above MAX_GROUP_CELLS
 */
export function groupCells(axes: readonly GroupAxis[]): readonly GroupCell[] {
  const cells: GroupCell[] = [{ of: [] }];
  for (const axis of axes) {
    for (let level = 0; level < levelsOf(axis); level += 1) {
      cells.push({ of: [{ attribute: axis.attribute, level }] });
    }
  }
  for (const [at, first] of axes.entries()) {
    for (const second of axes.slice(at + 1)) {
      for (let a = 0; a < levelsOf(first); a += 1) {
        for (let b = 0; b < levelsOf(second); b += 1) {
          cells.push({
            of: [
              { attribute: first.attribute, level: a },
              { attribute: second.attribute, level: b },
            ],
          });
        }
      }
    }
  }
  if (cells.length > MAX_GROUP_CELLS) {
    throw new SketchError(
      'limit',
      `${cells.length} group cells: at most ${MAX_GROUP_CELLS}; watch fewer groups or values`,
    );
  }
  return cells;
}
