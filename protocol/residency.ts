import { z } from 'zod';

/** A place whose law data stay under, as an operator names it: "eu", "us-ca". Compared as a whole: "eu" is not "eu-de". */
export const jurisdictionSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,31}$/,
    'a jurisdiction is 1 to 32 of a-z, 0-9 and "-", and begins with a letter, as "eu" or "us-ca"',
  );
export type Jurisdiction = z.infer<typeof jurisdictionSchema>;

/** Jurisdictions that one deployment may name. */
export const MAX_JURISDICTIONS = 32;

/** Whether something of a deployment may be outside of its jurisdictions. */
const reachSchema = z.enum(['within', 'anywhere']);

/** Where a deployment, and what is known of it, may be. */
export const residencySchema = z.strictObject({
  /** Hosts that it may be on; none: all, and then nothing else is restricted either. */
  jurisdictions: z
    .array(jurisdictionSchema)
    .max(MAX_JURISDICTIONS)
    .refine((all) => new Set(all).size === all.length, { message: 'a jurisdiction is named twice' })
    .default([]),
  /** Windows of its sketches: taken of hosts within only, or also of one that was moved away. */
  telemetry: reachSchema.default('within'),
  /** Counts per group, scores and labels: leave hosts for a control plane within only, or for any. */
  outcomes: reachSchema.default('anywhere'),
  /** Records of single decisions: fetched to a control plane within only, or to any. */
  decisions: reachSchema.default('within'),
});
export type Residency = z.infer<typeof residencySchema>;

/** What a host keeps to itself of a deployment's telemetry. Closed. */
export const withheldSchema = z.enum(['outcomes']);
export type WithheldPart = z.infer<typeof withheldSchema>;

/** What a deployment has of which nothing was said. */
export const UNRESTRICTED: Residency = residencySchema.parse({});
