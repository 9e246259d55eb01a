/**
 * Outcomes of a window as bytes, column by column: one field of all cells, then the next.
 *
 *     outcome     := kind (byte: 0 binary, 1 multiclass, 2 regression)
 *                    cells  scoreBins  side (3 × count)
 *                    each field of GROUP_FIELDS over the cells, each of SCORE_FIELDS over the bins
 *                    confusion: counts of side × side
 *                    joined duplicate conflicting (3 × count), delay (as latency)
 *     field       := a count: counts
 *                  | a sum: one f64 for each cell whose rows, or labelled rows, are not 0
 *
 * Sums are f64 and come back exactly: fairness compares cells that differ in the third digit.
 */
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readCounts, writeCounts } from './counts-codec.ts';
import { SketchError } from './error.ts';
import { MAX_BINS } from './grid.ts';
import { MAX_GROUP_CELLS } from './group.ts';
import { readLatency, writeLatency } from './latency-codec.ts';
import { MAX_MAGNITUDE } from './moments.ts';
import { GROUP_FIELDS, type OutcomeSketch, SCORE_FIELDS } from './outcome.ts';

const KINDS = ['binary', 'multiclass', 'regression'] as const;

/** Classes told apart, and one for all others. */
export const MAX_CONFUSION_SIDE = 65;

/** How a sum is written: behind which counts of its own cell it stands, and how large one row can make it. */
interface SumField {
  readonly of: readonly number[];
  readonly perRow: number;
}

/** By place in GROUP_FIELDS or SCORE_FIELDS; what is not named is a count. */
type SumFields = Readonly<Record<number, SumField>>;

const LINEAR = 2 * MAX_MAGNITUDE;
const SQUARE = LINEAR * LINEAR;
const GROUP_SUMS: Readonly<Record<OutcomeSketch['kind'], SumFields>> = {
  binary: {
    2: { of: [0], perRow: LINEAR },
    3: { of: [0], perRow: SQUARE },
    8: { of: [4, 5, 6, 7], perRow: LINEAR },
  },
  multiclass: {},
  regression: {
    1: { of: [0], perRow: LINEAR },
    2: { of: [0], perRow: SQUARE },
    4: { of: [3], perRow: LINEAR },
    5: { of: [3], perRow: LINEAR },
    6: { of: [3], perRow: SQUARE },
    7: { of: [3], perRow: LINEAR },
    8: { of: [3], perRow: SQUARE },
  },
};
const SCORE_SUMS: SumFields = { 2: { of: [0, 1], perRow: LINEAR } };

/** Fields whose sums are of squares or absolute values, hence not negative; by name. */
const NOT_NEGATIVE = new Set([
  'scoreSquares',
  'valueSquares',
  'errorAbs',
  'errorSquares',
  'labelSquares',
]);

/** True where nothing was counted: then it is not written at all. */
export function isEmptyOutcome({ groups, scores, confusion, labels }: OutcomeSketch): boolean {
  const none = (values: Float64Array) => values.every((value) => value === 0);
  const { joined, duplicate, conflicting, delay } = labels;
  return (
    none(groups) &&
    none(scores) &&
    none(confusion) &&
    joined + duplicate + conflicting + delay.count === 0
  );
}

/** @throws SketchError `value` on counts or sums that cannot be, `limit` above the bounds of a decoder */
export function writeOutcome(writer: ByteWriter, outcome: OutcomeSketch): void {
  const { kind, groups, scores, confusion, labels } = outcome;
  const cells = groups.length / GROUP_FIELDS[kind].length;
  const bins = scores.length / SCORE_FIELDS.length;
  const side = Math.sqrt(confusion.length);
  requireBounds(cells, bins, side);
  writer.byte(KINDS.indexOf(kind));
  writer.count(cells, 'outcome.cells');
  writer.count(bins, 'outcome.scoreBins');
  writer.count(side, 'outcome.side');
  writeTable(writer, { names: GROUP_FIELDS[kind], sums: GROUP_SUMS[kind] }, groups);
  writeTable(writer, { names: SCORE_FIELDS, sums: SCORE_SUMS }, scores);
  writeCounts(writer, confusion, 'outcome.confusion');
  writer.count(labels.joined, 'labels.joined');
  writer.count(labels.duplicate, 'labels.duplicate');
  writer.count(labels.conflicting, 'labels.conflicting');
  writeLatency(writer, labels.delay, 'labels.delay');
}

/** @throws SketchError `truncated`, `format` or `limit` */
export function readOutcome(reader: ByteReader): OutcomeSketch {
  const code = reader.byte('outcome.kind');
  if (code >= KINDS.length) {
    throw new SketchError('format', `outcome: kind ${code}, must be 0, 1 or 2`);
  }
  const kind = KINDS[code];
  const cells = reader.count('outcome.cells');
  const bins = reader.count('outcome.scoreBins');
  const side = reader.count('outcome.side');
  requireBounds(cells, bins, side);
  const groups = readTable(reader, { names: GROUP_FIELDS[kind], sums: GROUP_SUMS[kind] }, cells);
  const scores = readTable(reader, { names: SCORE_FIELDS, sums: SCORE_SUMS }, bins);
  const confusion = reader.cells(side * side);
  readCounts(reader, confusion, 'outcome.confusion');
  const joined = reader.count('labels.joined');
  const duplicate = reader.count('labels.duplicate');
  const conflicting = reader.count('labels.conflicting');
  const delay = readLatency(reader, 'labels.delay');
  const outcome = {
    kind,
    groups,
    scores,
    confusion,
    labels: { joined, duplicate, conflicting, delay },
  };
  if (isEmptyOutcome(outcome)) throw new SketchError('format', 'outcome: written, but empty');
  return outcome;
}

function requireBounds(cells: number, bins: number, side: number): void {
  const within =
    Number.isInteger(cells) &&
    Number.isInteger(side) &&
    cells <= MAX_GROUP_CELLS &&
    bins <= MAX_BINS &&
    side <= MAX_CONFUSION_SIDE;
  if (within) return;
  throw new SketchError(
    'limit',
    `outcome: ${cells} group cells, ${bins} score bins, ${side} classes; at most ` +
      `${MAX_GROUP_CELLS}, ${MAX_BINS} and ${MAX_CONFUSION_SIDE}`,
  );
}

/** Rows of named fields that lie side by side. */
interface Table {
  readonly names: readonly string[];
  readonly sums: SumFields;
}

function writeTable(writer: ByteWriter, { names, sums }: Table, values: Float64Array): void {
  const width = names.length;
  const column = new Float64Array(values.length / width);
  for (let field = 0; field < width; field += 1) {
    const sum = sums[field];
    for (let row = 0; row < column.length; row += 1) column[row] = values[row * width + field];
    if (sum === undefined) {
      writeCounts(writer, column, names[field]);
      continue;
    }
    for (let row = 0; row < column.length; row += 1) {
      const rows = rowsBehind(values, row * width, sum);
      requirePossible('value', names[field], column[row], rows, sum);
      if (rows > 0) writer.float64(column[row]);
    }
  }
}

/** A sum stands behind the counts that say whether it is there: see the order of the fields. */
function readTable(reader: ByteReader, { names, sums }: Table, rows: number): Float64Array {
  const width = names.length;
  const values = reader.cells(rows * width);
  const column = new Float64Array(rows);
  for (let field = 0; field < width; field += 1) {
    const sum = sums[field];
    if (sum === undefined) {
      readCounts(reader, column.fill(0), names[field]);
      for (let row = 0; row < rows; row += 1) values[row * width + field] = column[row];
      continue;
    }
    for (let row = 0; row < rows; row += 1) {
      const behind = rowsBehind(values, row * width, sum);
      if (behind === 0) continue;
      const value = reader.float64(names[field]);
      requirePossible('format', names[field], value, behind, sum);
      values[row * width + field] = value;
    }
  }
  return values;
}

/** Refuses sums that no rows have: merged into a fleet's, one NaN would stay for ever. */
function requirePossible(
  kind: 'value' | 'format',
  name: string,
  value: number,
  rows: number,
  { perRow }: SumField,
): void {
  const possible = Math.abs(value) <= rows * perRow && !(value < 0 && NOT_NEGATIVE.has(name));
  if (!possible) throw new SketchError(kind, `outcome: no ${rows} rows have ${name} ${value}`);
}

function rowsBehind(values: Float64Array, at: number, { of }: SumField): number {
  let rows = 0;
  for (let k = 0; k < of.length; k += 1) rows += values[at + of[k]];
  return rows;
}
