import { z } from 'zod';
import { type DetectorConfig, detectorSchema } from './detector.ts';
import { armSchema, digestSchema, nameSchema } from './ids.ts';

const KINDS: readonly DetectorConfig['kind'][] = detectorSchema.options.map(
  ({ shape }) => shape.kind.value,
);

const conceptDriftSchema = z.object({
  deployment: nameSchema,
  manifest: digestSchema,
  arm: armSchema,
  /** Which of the detectors that the deployment's monitoring names. */
  detector: z.enum(KINDS),
});
/** A host's detector found that the errors which labels show have changed. */
export type ConceptDrift = z.infer<typeof conceptDriftSchema>;

/** The detail of a `concept-drift` event: for people, and for `parseConceptDrift`. None of the fields can hold a space. */
export function describeConceptDrift(
  { deployment, manifest, arm, detector }: ConceptDrift,
  seen: { readonly labels: number; readonly meanError: number },
): string {
  return (
    `deployment=${deployment} manifest=${manifest} arm=${arm} detector=${detector} ` +
    `labels=${seen.labels} mean_error=${seen.meanError.toFixed(4)}`
  );
}

/** Null where a field is missing or is no value of its kind. Fields that are not known are left out. */
export function parseConceptDrift(detail: string): ConceptDrift | null {
  const fields = [...detail.matchAll(/(?:^|\s)(\w+)=(\S+)/g)].map(([, name, value]) => [
    name,
    value,
  ]);
  return conceptDriftSchema.safeParse(Object.fromEntries(fields)).data ?? null;
}
