import { z } from 'zod';
import { bytesSchema } from './bytes.ts';
import { agentIdSchema, bootIdSchema, labelsSchema, nameSchema, timestampSchema } from './ids.ts';
import { MAX_ROOTS } from './limits.ts';
import { signedSchema } from './trust/signed.ts';

/** Control plane speaks first: a nonce to sign, and the key that signs everything it will say. */
export const challengeMessageSchema = z.object({
  kind: z.literal('challenge'),
  nonce: bytesSchema(32, true),
  controlKey: bytesSchema(32, true),
  protocols: z.object({ min: z.int(), max: z.int() }),
  /** The chain of roots, oldest first: the newest says that `controlKey` is an online key. */
  roots: z.array(signedSchema).max(MAX_ROOTS).optional(),
});
export type ChallengeMessage = z.infer<typeof challengeMessageSchema>;

export const capabilitiesSchema = z.object({
  runtime: z.enum(['node', 'browser']),
  runtimeVersion: z.string().max(64),
  platform: z.string().max(64),
  cores: z.int().min(1).max(4096),
  engines: z.int().min(0).max(4096),
  providers: z.array(z.string().max(64)).max(32),
});

/** What only a first join carries; afterwards the key alone proves who comes. */
export const joinSchema = z.object({
  token: z.string().max(256),
  name: nameSchema,
  labels: labelsSchema,
});

/** A former key of this agent hands over to the one that the hello shows. */
export const rotationSchema = z.object({
  previousKey: bytesSchema(32, true),
  /** Signature by `previousKey` over `rotationTranscript(...)`. */
  signature: bytesSchema(64, true),
});
export type Rotation = z.infer<typeof rotationSchema>;

export const helloMessageSchema = z.object({
  kind: z.literal('hello'),
  protocol: z.int(),
  agent: agentIdSchema.nullable(),
  publicKey: bytesSchema(32, true),
  /** Signature over `helloTranscript(...)`: proves the key, bound to this nonce and this control plane. */
  proof: bytesSchema(64, true),
  /** What the control plane's answer must sign, with all else; agents older than protocol 3 send none. */
  nonce: bytesSchema(32, true).optional(),
  rotation: rotationSchema.nullable().optional(),
  join: joinSchema.nullable(),
  boot: bootIdSchema,
  /** The highest generation this agent has accepted, 0 when none: where to resume. */
  generation: z.int().min(0),
  /** Where the agent serves, as it sees itself; shown to people, never dialled by the control plane. */
  serving: z.string().max(256).nullable(),
  capabilities: capabilitiesSchema,
});
export type HelloMessage = z.infer<typeof helloMessageSchema>;

export const welcomeMessageSchema = z.object({
  kind: z.literal('welcome'),
  protocol: z.int(),
  agent: agentIdSchema,
  /** The control plane's clock, so that an agent can tell how far its own is off. */
  serverTimeMs: timestampSchema,
  /** Bearer token for artifact downloads; short-lived, renewed by each welcome. */
  downloadToken: z.string().max(1024),
  /** By the control plane's key, over `answerTranscript(...)`; only for an agent that sent a nonce. */
  signature: bytesSchema(64, true).optional(),
});
export type WelcomeMessage = z.infer<typeof welcomeMessageSchema>;

/** Joined, and waiting for an operator to look at its fingerprint: the link is held, and nothing is said on it. */
export const pendingMessageSchema = z.object({
  kind: z.literal('pending'),
  agent: agentIdSchema,
  signature: bytesSchema(64, true).optional(),
});
export type PendingMessage = z.infer<typeof pendingMessageSchema>;

const TRANSCRIPT = new TextEncoder().encode('driftline/hello/v1\n');

/**
 * The bytes an agent signs to prove its key: domain, nonce, control plane key, own key. The control
 * plane's key is inside so that a proof made for one control plane is worthless at another.
 */
export function helloTranscript(
  nonce: Uint8Array,
  controlKey: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(TRANSCRIPT.length + 96);
  bytes.set(TRANSCRIPT, 0);
  bytes.set(nonce, TRANSCRIPT.length);
  bytes.set(controlKey, TRANSCRIPT.length + 32);
  bytes.set(publicKey, TRANSCRIPT.length + 64);
  return bytes;
}
