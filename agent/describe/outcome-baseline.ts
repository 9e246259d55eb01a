import type { Group, Manifest } from '../../protocol/manifest.ts';
import {
  axisOf,
  MAX_CLASSES,
  outcomeGridOf,
  positiveClassOf,
} from '../../protocol/outcome-grid.ts';
import { dictionaryFromReference } from '../../protocol/sketch/frequency.ts';
import { type GroupAxis, MAX_GROUP_VALUES } from '../../protocol/sketch/group.ts';
import type { OutcomeGrid, OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../protocol/sketch/outcome-count.ts';
import type { DecisionRecords } from '../engine/observe/decision-record.ts';
import type { RequestParameters } from '../engine/serve/request-parameters.ts';
import { AgentError } from '../error.ts';
import { labelValue } from '../labels/label-value.ts';
import type { CsvTable } from './csv.ts';

/**
 * On what outcomes are counted: groups as the manifest lists them, or as the baseline has them, and the classes of
 * predictions and labels. Null without a prediction. Throws `AgentError` 'configuration'.
 *
 * @param predicted the classes that the model answered for the rows of the baseline; empty where it answers no classes
 */
export function learnOutcomeGrid(
  manifest: Manifest,
  table: CsvTable,
  predicted: readonly (string | number)[],
): OutcomeGrid | null {
  const axes = manifest.groups.map((group) => axisOf(group) ?? learnAxis(group, table));
  const labels = manifest.label?.column === undefined ? [] : labelsOf(manifest, table);
  const numeric = predicted.every((value) => typeof value === 'number');
  const seen = [...predicted.map(String), ...labels.filter((text) => text !== '')];
  const names = dictionaryFromReference(seen).slice(0, MAX_CLASSES);
  return outcomeGridOf(manifest, { axes, classes: numeric ? names.map(Number) : names });
}

function learnAxis(group: Group, table: CsvTable): GroupAxis {
  const { attribute } = group;
  const texts = columnOf(table, group.column ?? attribute, `group "${attribute}"`);
  const values = [...new Set(texts)].filter((text) => text !== '').sort();
  if (values.length > MAX_GROUP_VALUES) {
    throw new AgentError(
      'configuration',
      `group "${attribute}" has ${values.length} values in the baseline, at most ${MAX_GROUP_VALUES} are told apart; list those that matter in "values", or give "edges"`,
    );
  }
  const numbers = values.map(Number);
  return { attribute, kind: 'values', values: numbers.every(Number.isFinite) ? numbers : values };
}

function labelsOf({ label }: Manifest, table: CsvTable): string[] {
  return columnOf(table, label?.column ?? '', 'the label');
}

function columnOf({ columns, rows }: CsvTable, name: string, what: string): string[] {
  const at = columns.indexOf(name);
  if (at !== -1) return rows.map((row) => row[at]);
  throw new AgentError(
    'configuration',
    `the baseline has no column "${name}" for ${what}; it has ${columns.join(', ') || 'none'}`,
  );
}

/** What requests for these rows would say of their groups, beside the tensors. */
export function groupParameters(
  { groups }: Manifest,
  { columns, rows }: CsvTable,
  from: number,
  to: number,
): RequestParameters {
  const given = groups.filter((group) => group.from === 'parameter');
  return {
    group: Object.fromEntries(
      given.map(({ attribute, column = attribute }) => {
        const at = columns.indexOf(column);
        const none = new Array<null>(to - from).fill(null);
        return [attribute, at === -1 ? none : rows.slice(from, to).map((row) => row[at])];
      }),
    ),
  };
}

/**
 * Counts the labels of a baseline: what the version got wrong before anybody relied on it. Rows whose label is empty
 * have none. Throws `AgentError` 'configuration' that names the row.
 *
 * @param records of the rows, numbered as in the table
 */
export function countLabels(
  manifest: Manifest,
  table: CsvTable,
  grid: OutcomeGrid,
  records: DecisionRecords,
  into: OutcomeSketch,
): void {
  if (manifest.label?.column === undefined) return;
  const labels = labelsOf(manifest, table);
  const cells = new OutcomeCells(grid);
  const source = { classes: manifest.label.classes ?? null, positive: positiveClassOf(manifest) };
  for (let at = 0; at < records.rows; at += 1) {
    const row = records.row(at);
    const text = labels[row];
    if (text.trim() === '') continue;
    const label = grid.kind === 'regression' && Number.isFinite(Number(text)) ? Number(text) : text;
    const read = labelValue(label, source, cells);
    if (read.kind === 'invalid') {
      throw new AgentError('configuration', `baseline row ${row + 1}: ${read.detail}`);
    }
    const levels = records.levels(at);
    cells.countLabel(into, levels, records.prediction(at), records.positive(at), read.value);
  }
}
