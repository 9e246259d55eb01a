import { z } from 'zod';
import { featureNameSchema } from './ids.ts';
import type { Group, Manifest } from './manifest.ts';
import { type GroupAxis, groupCells, MAX_GROUP_VALUES } from './sketch/group.ts';
import type { OutcomeGrid } from './sketch/outcome.ts';

/** Classes of a multiclass model that are told apart: their confusion matrix has 65 × 65 cells. */
export const MAX_CLASSES = 64;

/** Bins of a probability. Fixed, so that the scores of any two versions can be laid side by side. */
export const SCORE_BINS = 64;

const valueSchema = z.union([z.string().max(1024), z.number()]);

/** As it stands in `profile.json`. */
export const outcomeGridSchema = z.object({
  kind: z.enum(['binary', 'multiclass', 'regression']),
  axes: z.array(
    z.discriminatedUnion('kind', [
      z.object({
        attribute: featureNameSchema,
        kind: z.literal('values'),
        values: z.array(valueSchema).max(MAX_GROUP_VALUES),
      }),
      z.object({
        attribute: featureNameSchema,
        kind: z.literal('edges'),
        edges: z
          .array(z.number())
          .max(MAX_GROUP_VALUES - 1)
          .refine((edges) => edges.every((edge, at) => at === 0 || edges[at - 1] < edge), {
            message: 'edges must rise',
          }),
      }),
    ]),
  ),
  scoreBins: z.union([z.literal(0), z.literal(SCORE_BINS)]),
  classes: z.array(valueSchema).max(MAX_CLASSES),
});

/** What outcomes of a version are; null where it has no prediction to have one. */
export function outcomeKindOf({
  prediction,
  task,
}: Pick<Manifest, 'prediction' | 'task'>): OutcomeGrid['kind'] | null {
  switch (prediction?.kind) {
    case 'score':
      return 'binary';
    case 'value':
      return 'regression';
    case 'label':
      return prediction.positive !== undefined || task === 'binary' ? 'binary' : 'multiclass';
    case undefined:
      return null;
  }
}

/** The class that a binary model without a score calls positive. */
export function positiveClassOf({ prediction }: Pick<Manifest, 'prediction'>): string {
  return prediction?.positive ?? '1';
}

/** How the manifest tells the rows of an attribute apart; null where it leaves that to the baseline. */
export function axisOf({ attribute, values, edges }: Group): GroupAxis | null {
  if (edges !== undefined) return { attribute, kind: 'edges', edges };
  return values === undefined ? null : { attribute, kind: 'values', values };
}

/**
 * Where outcomes are counted, given what the baseline knows of groups and classes; without a baseline every group that
 * the manifest does not list is "other". Null where there is no prediction. Throws `SketchError` 'limit' on too many
 * group cells.
 */
export function outcomeGridOf(
  manifest: Manifest,
  learnt: { axes: readonly GroupAxis[]; classes: readonly (string | number)[] } | null,
): OutcomeGrid | null {
  const kind = outcomeKindOf(manifest);
  if (kind === null) return null;
  const axes =
    learnt?.axes ??
    manifest.groups.map(
      (group): GroupAxis =>
        axisOf(group) ?? { attribute: group.attribute, kind: 'values', values: [] },
    );
  groupCells(axes);
  return {
    kind,
    axes,
    scoreBins: manifest.prediction?.kind === 'score' ? SCORE_BINS : 0,
    classes: kind === 'multiclass' ? (learnt?.classes ?? []) : [],
  };
}
