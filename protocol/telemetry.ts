import { z } from 'zod';
import { bytesSchema } from './bytes.ts';
import { detailSchema } from './error.ts';
import { armSchema, bootIdSchema, digestSchema, nameSchema, timestampSchema } from './ids.ts';
import { MAX_WINDOW_BYTES, MAX_WINDOW_MS, MIN_WINDOW_MS } from './limits.ts';

/**
 * One window of one (deployment, version, arm). (agent, boot, sequence) is merged once and
 * acknowledged after commit; until then it stays in the agent's durable outbox.
 */
export const telemetryMessageSchema = z.object({
  kind: z.literal('telemetry'),
  boot: bootIdSchema,
  sequence: z.int().min(1),
  deployment: nameSchema,
  manifest: digestSchema,
  arm: armSchema,
  windowStartMs: timestampSchema,
  windowMs: z.int().min(MIN_WINDOW_MS).max(MAX_WINDOW_MS),
  /** `encodeWindow` of `protocol/sketch/codec`, on the grids of this version's profile. */
  body: bytesSchema(MAX_WINDOW_BYTES),
});
export type TelemetryMessage = z.infer<typeof telemetryMessageSchema>;

/** Acknowledges every sequence of `boot` up to and including `sequence`. */
export const ackMessageSchema = z.object({
  kind: z.literal('ack'),
  boot: bootIdSchema,
  sequence: z.int().min(1),
});
export type AckMessage = z.infer<typeof ackMessageSchema>;

/** Something that happened on the host which people should find later. */
export const eventMessageSchema = z.object({
  kind: z.literal('event'),
  at: timestampSchema,
  name: z.enum([
    'engine-exited',
    'version-refused',
    'artifact-corrupt',
    'outbox-corrupt',
    'outbox-full',
    'desired-refused',
    'fell-back',
    /** Its desired state has expired. */
    'stale',
    /** Two documents of one generation, both signed: the evidence is on the host. */
    'equivocation',
    'concept-drift',
  ]),
  detail: detailSchema,
});
export type EventMessage = z.infer<typeof eventMessageSchema>;
