import { z } from 'zod';
import { detailSchema, refusalCodeSchema } from './error.ts';
import {
  armSchema,
  digestSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from './ids.ts';
import { reportedLeaseSchema } from './lease.ts';
import { MAX_DEPLOYMENTS_PER_AGENT, MAX_REPORTED_ARMS, MAX_REPORTED_TRIPS } from './limits.ts';
import { placementSchema } from './serving.ts';
import { tripSchema } from './trip.ts';

const armBase = { arm: armSchema, version: versionNumberSchema, manifest: digestSchema };

/** What one arm really does on the host. `refused` is the NACK: this digest is not offered again as it stands. */
export const reportedArmSchema = z.discriminatedUnion('state', [
  z.object({
    ...armBase,
    state: z.literal('serving'),
    share: z.number().min(0).max(1),
    /** Absent where the agent is older, or the engine that measured it died. */
    placement: placementSchema.optional(),
  }),
  z.object({ ...armBase, state: z.literal('fetching') }),
  z.object({
    ...armBase,
    state: z.literal('refused'),
    code: refusalCodeSchema,
    detail: detailSchema,
  }),
]);
export type ReportedArm = z.infer<typeof reportedArmSchema>;

export const reportedDeploymentSchema = z.object({
  name: nameSchema,
  arms: z.array(reportedArmSchema).max(MAX_REPORTED_ARMS),
  /** Absent where the deployment has no lease. */
  lease: reportedLeaseSchema.optional(),
});

export type ReportedDeployment = z.infer<typeof reportedDeploymentSchema>;

/** A full snapshot of what the agent runs, sent after each change: small, and never in need of replay. */
export const reportMessageSchema = z.object({
  kind: z.literal('report'),
  /** Highest generation accepted (`observedGeneration`). */
  observed: z.int().min(0),
  /** Highest generation that every engine of the host serves. */
  applied: z.int().min(0),
  at: timestampSchema,
  /** Its desired state has expired: what ran goes on, and nothing new is installed. */
  stale: z.boolean().optional(),
  /** An operator has taken it out of traffic: it refuses requests. */
  draining: z.boolean().optional(),
  deployments: z.array(reportedDeploymentSchema).max(MAX_DEPLOYMENTS_PER_AGENT),
  /** What guards took back, in force or not, newest last: told again in each report, and counted once by its id. */
  trips: z.array(tripSchema).max(MAX_REPORTED_TRIPS).optional(),
});
export type ReportMessage = z.infer<typeof reportMessageSchema>;
