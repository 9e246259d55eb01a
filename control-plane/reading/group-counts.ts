import {
  type GroupAxis,
  type GroupCell,
  groupCells,
  levelName,
} from '../../protocol/sketch/group.ts';
import {
  GROUP_FIELDS,
  type OutcomeGrid,
  type OutcomeSketch,
} from '../../protocol/sketch/outcome.ts';

/** Outcomes of one group under a binary decision. */
export interface GroupCounts {
  /** `sex=F`, or `sex=F, race=B` for an intersection; `everyone` for all rows. */
  readonly group: string;
  /** `sex`, `sex × race`; empty for everyone. */
  readonly attribute: string;
  readonly rows: number;
  readonly positive: number;
  readonly scoreSum: number;
  readonly tp: number;
  readonly fp: number;
  readonly fn: number;
  readonly tn: number;
  /** Σ (y − score) over labelled rows. */
  readonly residualSum: number;
}

/** The cells of a binary outcome that hold any row; the first is everyone. */
export function groupCounts(grid: OutcomeGrid, outcome: OutcomeSketch): readonly GroupCounts[] {
  if (outcome.kind !== 'binary') return [];
  const width = GROUP_FIELDS.binary.length;
  return groupCells(grid.axes).flatMap((cell, at): GroupCounts[] => {
    const [rows, positive, scoreSum, , tp, fp, fn, tn, residualSum] = outcome.groups.subarray(
      at * width,
      (at + 1) * width,
    );
    const labelled = tp + fp + fn + tn;
    if (at > 0 && rows === 0 && labelled === 0) return [];
    const names = { group: groupName(grid.axes, cell), attribute: attributeName(cell) };
    return [{ ...names, rows, positive, scoreSum, tp, fp, fn, tn, residualSum }];
  });
}

function attributeName(cell: GroupCell): string {
  return cell.of.map(({ attribute }) => attribute).join(' × ');
}

function groupName(axes: readonly GroupAxis[], cell: GroupCell): string {
  if (cell.of.length === 0) return 'everyone';
  const named = cell.of.map(({ attribute, level }) => {
    const axis = axes.find((candidate) => candidate.attribute === attribute);
    return `${attribute}=${axis === undefined ? level : levelName(axis, level)}`;
  });
  return named.join(', ');
}
