import { z } from 'zod';
import { timestampSchema } from './ids.ts';
import { MAX_SKEW_MS } from './limits.ts';

/**
 * What leaves a host, by kind. The first six go to the control plane; a request for an artifact carries nothing of the
 * host but which one; `features` are the keys that a feature server is asked for, `traces` spans.
 */
export const EGRESS_KINDS = [
  'telemetry',
  'report',
  'event',
  'result',
  'link',
  'artifact-request',
  'features',
  'traces',
] as const;
export const egressKindSchema = z.enum(EGRESS_KINDS);
export type EgressKind = z.infer<typeof egressKindSchema>;

const countSchema = z.int().min(0);
export const egressCountSchema = z.object({ messages: countSchema, bytes: countSchema });
export type EgressCount = z.infer<typeof egressCountSchema>;

/** What a host has sent anywhere since it first started, and how its telemetry stands. */
export const ledgerMessageSchema = z.object({
  kind: z.literal('ledger'),
  at: timestampSchema,
  sinceMs: timestampSchema,
  /** Kinds of which nothing was sent are absent. */
  egress: z.partialRecord(egressKindSchema, egressCountSchema),
  /** How far the host's clock is ahead of the control plane's. */
  clockAheadMs: z.int().min(-MAX_SKEW_MS).max(MAX_SKEW_MS),
  outbox: z.object({
    pending: countSchema,
    dropped: countSchema,
    coarsened: countSchema,
  }),
});
export type LedgerMessage = z.infer<typeof ledgerMessageSchema>;
