import { MAX_MAGNITUDE } from '../../protocol/sketch/moments.ts';
import type { OutcomeCells } from '../../protocol/sketch/outcome-count.ts';
import type { DecisionSource } from '../engine/decision-batch.ts';
import type { PostedLabel } from '../engine/posted-label.ts';

export type LabelValue =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'invalid'; readonly detail: string };

/** A label as `OutcomeCells` counts it: 0 or 1, the number of a class, or the value. */
export function labelValue(
  label: PostedLabel['label'],
  source: Pick<DecisionSource, 'classes' | 'positive'>,
  cells: OutcomeCells,
): LabelValue {
  switch (cells.grid.kind) {
    case 'binary':
      return binaryValue(String(label), source);
    case 'multiclass':
      return { kind: 'value', value: cells.classOf(String(label)) };
    case 'regression':
      return typeof label === 'number' && Math.abs(label) <= MAX_MAGNITUDE
        ? { kind: 'value', value: label }
        : invalid(
            `label ${JSON.stringify(label)}: this model predicts a number, so a label is one`,
          );
  }
}

function binaryValue(
  text: string,
  { classes, positive }: Pick<DecisionSource, 'classes' | 'positive'>,
): LabelValue {
  if (text === positive) return { kind: 'value', value: 1 };
  const named = classes?.indexOf(text) ?? -1;
  if (named !== -1) return { kind: 'value', value: named };
  // Where the positive class is called "0", the other one is 1.
  const one = positive === '0' ? 0 : 1;
  if (text === '1' || text === 'true') return { kind: 'value', value: one };
  if (text === '0' || text === 'false') return { kind: 'value', value: 0 };
  const names = [...new Set(['0', '1', ...(classes ?? []), positive])];
  const known = names.map((name) => `"${name}"`).join(', ');
  return invalid(
    `label "${text.slice(0, 64)}" is none of ${known}; name both classes in the manifest's label.classes`,
  );
}

function invalid(detail: string): LabelValue {
  return { kind: 'invalid', detail };
}

/** As it was posted, for people. */
export function showLabel(value: number, { grid }: OutcomeCells): string {
  if (grid.kind !== 'multiclass') return String(value);
  return value < 0 ? 'a class that the baseline did not have' : String(grid.classes[value]);
}
