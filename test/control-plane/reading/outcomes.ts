import type { GroupCounts } from '../../../control-plane/reading/group-counts.ts';
import {
  emptyOutcome,
  GROUP_FIELDS,
  type OutcomeGrid,
  type OutcomeSketch,
  SCORE_FIELDS,
} from '../../../protocol/sketch/outcome.ts';

export const GRID: OutcomeGrid = {
  kind: 'binary',
  axes: [{ attribute: 'sex', kind: 'values', values: ['F', 'M'] }],
  scoreBins: 2,
  classes: [],
};

type Field = (typeof GROUP_FIELDS.binary)[number];

/** A binary outcome with these fields in cells: 0 everyone, 1 F, 2 M, 3 other, 4 missing. */
export function outcomeOf(
  cells: Readonly<Record<number, Partial<Record<Field, number>>>>,
): OutcomeSketch {
  const outcome = emptyOutcome(GRID);
  const fields: readonly string[] = GROUP_FIELDS.binary;
  for (const [cell, values] of Object.entries(cells)) {
    for (const [field, value] of Object.entries(values)) {
      outcome.groups[Number(cell) * fields.length + fields.indexOf(field)] = value;
    }
  }
  return outcome;
}

export function setScores(outcome: OutcomeSketch, bins: readonly (readonly number[])[]): void {
  for (const [bin, values] of bins.entries()) outcome.scores.set(values, bin * SCORE_FIELDS.length);
}

/** A group of `rows`, `positive` of them selected, without labels unless given. */
export function group(
  name: string,
  rows: number,
  positive: number,
  labels: Partial<GroupCounts> = {},
): GroupCounts {
  const none = { tp: 0, fp: 0, fn: 0, tn: 0, scoreSum: 0, residualSum: 0 };
  return { group: `sex=${name}`, attribute: 'sex', rows, positive, ...none, ...labels };
}
