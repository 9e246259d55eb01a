import { z } from 'zod';
import { guardSchema } from './guard.ts';
import {
  agentIdSchema,
  armSchema,
  digestSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from './ids.ts';
import { leaseSchema } from './lease.ts';
import { MAX_ARMS, MAX_DEPLOYMENTS_PER_AGENT, MAX_WINDOW_MS, MIN_WINDOW_MS } from './limits.ts';
import { monitoringSchema } from './monitoring.ts';
import { withheldSchema } from './residency.ts';
import { servingSchema } from './serving.ts';
import { envelopeSchema } from './signing.ts';
import { signedSchema } from './trust/signed.ts';

/** One version that a deployment may answer with. `share` 0 keeps it loaded, so that going back is a pointer swap. */
export const desiredArmSchema = z.object({
  arm: armSchema,
  model: nameSchema,
  version: versionNumberSchema,
  /** The version's identity: digest of its manifest. */
  manifest: digestSchema,
  /** Part of this agent's traffic, 0 to 1. Shares of a deployment add up to 1. */
  share: z.number().min(0).max(1),
  /**
   * When somebody decided that this version shall serve here; absent without a guard. What a guard took back comes back
   * with a newer decision, and with no document that only repeats the same one.
   */
  decidedAt: timestampSchema.optional(),
});
export type DesiredArm = z.infer<typeof desiredArmSchema>;

export const desiredDeploymentSchema = z
  .object({
    name: nameSchema,
    windowMs: z.int().min(MIN_WINDOW_MS).max(MAX_WINDOW_MS),
    /** How to execute it; absent in what older control planes signed. */
    serving: servingSchema.default({}),
    /** How to watch it; absent in what older control planes signed. */
    monitoring: monitoringSchema.default({}),
    /** When the host takes an arm back by itself; absent: never. */
    guard: guardSchema.optional(),
    /** How long it may serve without a word from the control plane; absent: for ever. */
    lease: leaseSchema.optional(),
    /** What stays on the host of what it would send of it; absent: nothing. */
    withheld: z.array(withheldSchema).max(withheldSchema.options.length).optional(),
    arms: z.array(desiredArmSchema).min(1).max(MAX_ARMS),
  })
  .refine((d) => sharedOnce(d.arms), { message: 'an arm is named twice' })
  .refine((d) => pinnedOnce(d.arms), {
    message: 'a pinned version is there twice, or stable or candidate already',
  })
  .refine((d) => d.arms.every((a) => a.arm !== 'pinned' || a.share === 0), {
    message: 'a pinned arm has share 0: only requests that name its version reach it',
  })
  .refine((d) => Math.abs(d.arms.reduce((sum, a) => sum + a.share, 0) - 1) < 1e-9, {
    message: 'the shares of a deployment must add up to 1',
  });
export type DesiredDeployment = z.infer<typeof desiredDeploymentSchema>;

function sharedOnce(arms: readonly DesiredArm[]): boolean {
  const shared = arms.filter(({ arm }) => arm !== 'pinned').map(({ arm }) => arm);
  return new Set(shared).size === shared.length;
}

/** The same version twice would make two recorders of one answer, and no path could tell them apart. */
function pinnedOnce(arms: readonly DesiredArm[]): boolean {
  return arms.every(
    (one, at) =>
      one.arm !== 'pinned' || !arms.some((other, k) => k !== at && other.manifest === one.manifest),
  );
}

/** Everything one agent should run: one snapshot, applied as a whole. */
export const desiredStateSchema = z.object({
  agent: agentIdSchema,
  generation: z.int().min(1),
  issuedAt: timestampSchema,
  expiresAt: timestampSchema,
  deployments: z.array(desiredDeploymentSchema).max(MAX_DEPLOYMENTS_PER_AGENT),
});
export type DesiredState = z.infer<typeof desiredStateSchema>;

export const desiredMessageSchema = z.object({
  kind: z.literal('desired'),
  envelope: envelopeSchema,
  /** Releases of the versions that it names, in any order; absent in what older control planes say. */
  releases: z
    .array(signedSchema)
    .max(MAX_DEPLOYMENTS_PER_AGENT * MAX_ARMS)
    .optional(),
});
export type DesiredMessage = z.infer<typeof desiredMessageSchema>;
