import { z } from 'zod';
import {
  agentIdSchema,
  armSchema,
  digestSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from './ids.ts';
import { MAX_DEPLOYMENTS_PER_AGENT, MAX_WINDOW_MS, MIN_WINDOW_MS } from './limits.ts';
import { envelopeSchema } from './signing.ts';

/** One version that a deployment may answer with. `share` 0 keeps it loaded, so that going back is a pointer swap. */
export const desiredArmSchema = z.object({
  arm: armSchema,
  model: nameSchema,
  version: versionNumberSchema,
  /** The version's identity: digest of its manifest. */
  manifest: digestSchema,
  /** Part of this agent's traffic, 0 to 1. Shares of a deployment add up to 1. */
  share: z.number().min(0).max(1),
});
export type DesiredArm = z.infer<typeof desiredArmSchema>;

export const desiredDeploymentSchema = z
  .object({
    name: nameSchema,
    windowMs: z.int().min(MIN_WINDOW_MS).max(MAX_WINDOW_MS),
    arms: z.array(desiredArmSchema).min(1).max(2),
  })
  .refine((d) => new Set(d.arms.map((a) => a.arm)).size === d.arms.length, {
    message: 'an arm is named twice',
  })
  .refine((d) => Math.abs(d.arms.reduce((sum, a) => sum + a.share, 0) - 1) < 1e-9, {
    message: 'the shares of a deployment must add up to 1',
  });
export type DesiredDeployment = z.infer<typeof desiredDeploymentSchema>;

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
});
export type DesiredMessage = z.infer<typeof desiredMessageSchema>;
