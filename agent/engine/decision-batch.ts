import { z } from 'zod';
import { toBase64 } from '../../protocol/bytes.ts';
import { armSchema, digestSchema } from '../../protocol/ids.ts';
import { labelSchema } from '../../protocol/manifest.ts';
import { outcomeGridSchema, positiveClassOf } from '../../protocol/outcome-grid.ts';
import { encodeWindow } from '../../protocol/sketch/codec.ts';
import type { OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import { emptyWindow } from '../../protocol/sketch/window.ts';
import type { Slot } from './model/slot.ts';

/**
 * What a label needs to know of the version that predicted. It stands beside the records of its rows, so that a label
 * can be joined when the version has long left this host.
 */
export const decisionSourceSchema = z.object({
  manifest: digestSchema,
  arm: armSchema,
  grid: outcomeGridSchema,
  /** How callers may name the classes 0 and 1 of a yes-or-no label; null: they may not. */
  classes: labelSchema.shape.classes.unwrap().nullable(),
  /** Binary: the class that counts as 1. */
  positive: z.string(),
  /** An empty window of the version, encoded: a window of labels is one with outcomes put in. */
  window: z.string(),
  /** What it got wrong on the labelled rows of its baseline; null: there were none. */
  validation: z
    .object({ labelled: z.number(), errors: z.number(), errorAbs: z.number() })
    .nullable(),
});
export type DecisionSource = z.infer<typeof decisionSourceSchema>;

/** Rows that one arm answered within a second or so, on their way to where they wait for labels. */
export interface DecisionBatch {
  readonly kind: 'decisions';
  readonly deployment: string;
  /** A `DecisionSource` as JSON. */
  readonly source: string;
  /** As it stands in decision ids. */
  readonly engine: number;
  readonly windowStartMs: number;
  readonly windowMs: number;
  /** When they were collected: within a second of their answers. */
  readonly atMs: number;
  /** In the layout of `observe/decision-record.ts`, in ascending order of rows. */
  readonly records: Uint8Array;
}

/** Null where the version has no prediction. */
export function decisionSource(slot: Slot, arm: DecisionSource['arm']): string | null {
  const { grids, manifest, manifestDigest, validation } = slot;
  if (!grids.outcome) return null;
  const source: DecisionSource = {
    manifest: manifestDigest,
    arm,
    grid: outcomeGridSchema.parse(grids.outcome),
    classes: manifest.label?.classes ?? null,
    positive: positiveClassOf(manifest),
    window: toBase64(encodeWindow(emptyWindow({ ...grids, outcome: null, tensors: [] }))),
    validation: validation === null ? null : validationErrors(validation),
  };
  return JSON.stringify(source);
}

/** Of everyone, in the order of `GROUP_FIELDS`. */
function validationErrors({ kind, groups }: OutcomeSketch): DecisionSource['validation'] {
  const errors = (labelled: number, wrong: number, errorAbs = 0) =>
    labelled === 0 ? null : { labelled, errors: wrong, errorAbs };
  if (kind === 'binary') {
    const [tp, fp, fn, tn] = groups.subarray(4, 8);
    return errors(tp + fp + fn + tn, fp + fn);
  }
  if (kind === 'multiclass') return errors(groups[1], groups[1] - groups[2]);
  return errors(groups[3], 0, groups[5]);
}
