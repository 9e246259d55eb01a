import { z } from 'zod';
import {
  armSchema,
  digestSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from './ids.ts';

/** Which threshold of a guard an arm has passed, and by what. */
export const breachSchema = z.discriminatedUnion('threshold', [
  z.object({
    threshold: z.literal('non-finite'),
    /** Bad answers among the last `answers`, of which at most `limit` may be. */
    bad: z.int().min(1),
    answers: z.int().min(1),
    limit: z.int().min(0),
  }),
  z.object({
    threshold: z.literal('errors'),
    bad: z.int().min(1),
    answers: z.int().min(1),
    limit: z.int().min(0),
    /** Error code of the last of them. */
    code: z.string().max(64),
  }),
  z.object({
    threshold: z.literal('latency'),
    bad: z.int().min(1),
    answers: z.int().min(1),
    limit: z.int().min(0),
    budgetUs: z.int().min(1),
    /** Of the answer that passed the limit. */
    latencyUs: z.number().min(0),
  }),
  z.object({
    threshold: z.literal('drift'),
    psi: z.number(),
    limit: z.number(),
    rows: z.int().min(1),
  }),
]);
export type Breach = z.infer<typeof breachSchema>;

/** A guard took an arm back: the evidence. Known by its id, however often a report brings it. */
export const tripSchema = z.object({
  id: z.string().regex(/^trp_[0-9a-f]{16}$/),
  deployment: nameSchema,
  manifest: digestSchema,
  version: versionNumberSchema,
  arm: armSchema,
  /** Of the document that was in force. */
  generation: z.int().min(0),
  /** On the host's clock. */
  at: timestampSchema,
  breach: breachSchema,
  /** Decision id of the answer that passed the limit; null where it was none. */
  decision: z.string().max(128).nullable(),
  /** What answers in its place: another version, itself, or nobody. */
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('reverted'), version: versionNumberSchema }),
    z.object({ kind: z.literal('kept') }),
    z.object({ kind: z.literal('refused') }),
  ]),
});
export type Trip = z.infer<typeof tripSchema>;

/** One line for people. */
export function describeBreach(breach: Breach): string {
  switch (breach.threshold) {
    case 'non-finite':
      return `${breach.bad} of the last ${breach.answers} answers held NaN or infinite outputs, at most ${breach.limit} may`;
    case 'errors':
      return `${breach.bad} of the last ${breach.answers} answers failed (${breach.code}), at most ${breach.limit} may`;
    case 'latency':
      return `${breach.bad} of the last ${breach.answers} answers took longer than ${breach.budgetUs} us, at most ${breach.limit} may`;
    case 'drift':
      return `predictions of ${breach.rows} rows have PSI ${breach.psi.toFixed(3)} against the profile, at most ${breach.limit} may be`;
  }
}

/** What answers after it, for people. */
export function describeOutcome({ outcome, version }: Trip): string {
  if (outcome.kind === 'reverted') return `version ${outcome.version} answers`;
  return outcome.kind === 'kept'
    ? `version ${version} goes on, for want of a last good one`
    : 'requests are refused, for want of a last good version';
}
