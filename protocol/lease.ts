import { z } from 'zod';
import { agentIdSchema, timestampSchema } from './ids.ts';
import { MAX_LEASE_MS, MIN_LEASE_MS } from './limits.ts';
import { envelopeSchema } from './signing.ts';

/** How long a host may serve a deployment without hearing that its document is still the newest. */
export const leaseSchema = z.strictObject({
  durationMs: z.int().min(MIN_LEASE_MS).max(MAX_LEASE_MS),
  /** Past it: `serve` goes on and says so, `stop` answers 503 until the lease is renewed. */
  afterwards: z.enum(['serve', 'stop']),
});
export type Lease = z.infer<typeof leaseSchema>;

/** Renewals per lease: three may be lost, or late, before it lapses on a host that is linked. */
export const RENEWALS_PER_LEASE = 4;

/**
 * What a renewal says, as JSON under a signature for the purpose `lease`: at `issuedAt` the newest document of `agent` was
 * that of `generation`. It names the document, so that who holds a newer one back can't renew the older.
 */
export const renewalSchema = z.object({
  agent: agentIdSchema,
  generation: z.int().min(1),
  issuedAt: timestampSchema,
});
export type Renewal = z.infer<typeof renewalSchema>;

export const leaseMessageSchema = z.object({ kind: z.literal('lease'), envelope: envelopeSchema });
export type LeaseMessage = z.infer<typeof leaseMessageSchema>;

/** What a host says of its lease of one deployment. */
export const reportedLeaseSchema = z.object({
  state: z.enum(['held', 'lapsed', 'stopped']),
  /** When it last ran out, on the control plane's clock as the host knows it; null: never. */
  lapsedAt: timestampSchema.nullable(),
});
export type ReportedLease = z.infer<typeof reportedLeaseSchema>;
