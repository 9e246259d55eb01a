import type { DecisionRecord } from '../../protocol/decision.ts';
import { levelName } from '../../protocol/sketch/group.ts';
import { showLabel } from './label-value.ts';
import type { LabelledRow } from './label-windows.ts';

/** A remembered row as it is told to whoever may ask. `label`: as `OutcomeCells` counts it; null: none has come. */
export function recordOf(
  { place, source, cells }: LabelledRow,
  label: number | null,
): DecisionRecord {
  const { block, at } = place;
  const { records, windowStartMs, windowMs, atMs } = block;
  const levels = records.levels(at);
  const named = (value: number) =>
    source.grid.kind === 'multiclass' ? showLabel(value, cells) : value;
  const prediction = records.prediction(at);
  return {
    manifest: source.manifest,
    arm: source.arm,
    windowStartMs,
    windowMs,
    answeredAt: Math.round(atMs),
    row: records.index(at),
    prediction: Number.isFinite(prediction) ? named(prediction) : null,
    positive: records.positive(at),
    groups: Object.fromEntries(
      source.grid.axes.map((axis, k) => [axis.attribute, levelName(axis, levels[k])]),
    ),
    label: label === null ? null : named(label),
  };
}
