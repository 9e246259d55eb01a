import { z } from 'zod';
import { bytesSchema } from './bytes.ts';
import { detailSchema } from './error.ts';
import { armSchema, bootIdSchema, digestSchema, nameSchema, timestampSchema } from './ids.ts';
import {
  MAX_SKEW_MS,
  MAX_WINDOW_BYTES,
  MAX_WINDOW_MS,
  MAX_WINDOWS_ADDED,
  MIN_WINDOW_MS,
} from './limits.ts';

/**
 * One window of one (deployment, version, arm). (agent, boot, sequence) is merged once and
 * acknowledged after commit; until then it stays in the agent's durable outbox.
 */
export const telemetryMessageSchema = z.object({
  kind: z.literal('telemetry'),
  boot: bootIdSchema,
  sequence: z.int().min(1),
  /** Which telemetry message of its connection this is, from 1 on: see `numberedFrame`. Absent from older agents. */
  nth: z.int().min(1).optional(),
  deployment: nameSchema,
  manifest: digestSchema,
  arm: armSchema,
  /** On the host's clock, as in the decision ids of its rows. */
  windowStartMs: timestampSchema,
  windowMs: z.int().min(MIN_WINDOW_MS).max(MAX_WINDOW_MS),
  /** How far the host's clock was ahead of the control plane's when the window was made; null where it never linked. */
  clockAheadMs: z.int().min(-MAX_SKEW_MS).max(MAX_SKEW_MS).nullable().default(null),
  /** How many windows this one adds up: above 1 where a full outbox has made them coarser. */
  windows: z.int().min(1).max(MAX_WINDOWS_ADDED).default(1),
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
    'outbox-coarsened',
    'desired-refused',
    'fell-back',
    /** Its desired state has expired. */
    'stale',
    /** Two documents of one generation, both signed: the evidence is on the host. */
    'equivocation',
    'concept-drift',
    /** A deployment went on without a lease, or stopped for want of one, while nobody could be told. */
    'lease-lapsed',
  ]),
  detail: detailSchema,
});
export type EventMessage = z.infer<typeof eventMessageSchema>;
