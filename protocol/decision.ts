import { z } from 'zod';
import { armSchema, digestSchema, featureNameSchema, timestampSchema } from './ids.ts';

/** DECISION-1: host, window, engine, row. */
export const decisionIdSchema = z
  .string()
  .regex(
    /^[0-9a-f]{1,12}(\.[0-9a-z]{1,11}){3}$/,
    'a decision id is what an answer gives as parameters.decision_id',
  );

/** Place of a row in its request: a decision id names the first. */
export const rowIndexSchema = z.int().min(0).max(1_000_000_000);

/** Attributes that groups are told apart by, in one record. */
const MAX_RECORD_GROUPS = 64;

/** What a host remembers of one answered row. Inputs are not among it: they never leave the request. */
export const decisionRecordSchema = z.object({
  manifest: digestSchema,
  arm: armSchema,
  /** On the host's clock. */
  windowStartMs: timestampSchema,
  windowMs: z.int().min(1),
  /** Within a second after its answer, on the host's clock. */
  answeredAt: timestampSchema,
  row: rowIndexSchema,
  /** The score, the value, or the class by its name; null where it was no number. */
  prediction: z.union([z.number(), z.string().max(1024)]).nullable(),
  /** Binary models: on which side of the threshold. */
  positive: z.boolean(),
  /** The group of each attribute, as reports name it. */
  groups: z
    .record(featureNameSchema, z.string().max(2048))
    .refine((groups) => Object.keys(groups).length <= MAX_RECORD_GROUPS, {
      message: `at most ${MAX_RECORD_GROUPS} attributes`,
    }),
  /** What turned out to be true; null: nobody has said yet. */
  label: z.union([z.number(), z.string().max(1024)]).nullable(),
});
export type DecisionRecord = z.infer<typeof decisionRecordSchema>;
