import { z } from 'zod';
import { bytesSchema } from './bytes.ts';
import { decisionIdSchema, decisionRecordSchema, rowIndexSchema } from './decision.ts';
import { diagnosticsSchema } from './diagnostics.ts';
import { detailSchema } from './error.ts';
import { nameSchema, timestampSchema } from './ids.ts';
import { MAX_LOG_LEVEL_MS, MIN_LOG_LEVEL_MS } from './limits.ts';
import { tuningSchema } from './tuning.ts';

/** Names one command; its result carries it back. */
export const commandIdSchema = z.string().regex(/^cmd_[0-9a-f]{16}$/);
export type CommandId = z.infer<typeof commandIdSchema>;

export const logLevelSchema = z.enum(['debug', 'info', 'warn', 'error']);
export type LogLevel = z.infer<typeof logLevelSchema>;

/** What the control plane may ask of a host besides its desired state. Closed: a host runs nothing else. */
export const commandSchema = z.discriminatedUnion('name', [
  /** Measures how the stable version of a deployment is best executed there. */
  z.object({ name: z.literal('tune'), deployment: nameSchema }),
  /** Makes a key of its own, which its old key hands over to when the link comes back. */
  z.object({ name: z.literal('rotate-key') }),
  /** Answers what is in flight and refuses what comes, until it is undrained or starts anew. */
  z.object({ name: z.literal('drain') }),
  z.object({ name: z.literal('undrain') }),
  /** A new engine process for each, one after another: each takes over before its predecessor ends. */
  z.object({ name: z.literal('restart-engines') }),
  /** What it remembers of one answered row. */
  z.object({
    name: z.literal('decision'),
    deployment: nameSchema,
    id: decisionIdSchema,
    row: rowIndexSchema,
  }),
  z.object({ name: z.literal('diagnostics') }),
  /** How much it logs, for so long. */
  z.object({
    name: z.literal('log-level'),
    level: logLevelSchema,
    forMs: z.int().min(MIN_LOG_LEVEL_MS).max(MAX_LOG_LEVEL_MS),
  }),
]);
export type Command = z.infer<typeof commandSchema>;

export const commandMessageSchema = z.object({
  kind: z.literal('command'),
  id: commandIdSchema,
  /** On the control plane's clock: what has not begun by then is not begun. */
  deadline: timestampSchema,
  command: commandSchema,
});
export type CommandMessage = z.infer<typeof commandMessageSchema>;

/** What each command answers. */
export const commandValueSchema = z.discriminatedUnion('name', [
  z.object({ name: z.literal('tune'), tuning: tuningSchema }),
  /** The key that it will come back with. */
  z.object({ name: z.literal('rotate-key'), publicKey: bytesSchema(32, true) }),
  /** Requests that it had not answered when it said so; new ones are refused from the command on. */
  z.object({ name: z.literal('drain'), inFlight: z.int().min(0) }),
  z.object({ name: z.literal('undrain') }),
  /** How many have a successor. */
  z.object({ name: z.literal('restart-engines'), restarted: z.int().min(0).max(256) }),
  z.object({ name: z.literal('decision'), record: decisionRecordSchema }),
  z.object({ name: z.literal('diagnostics'), diagnostics: diagnosticsSchema }),
  /** On the host's clock: then it logs as it was started to. */
  z.object({ name: z.literal('log-level'), level: logLevelSchema, until: timestampSchema }),
]);
export type CommandValue = z.infer<typeof commandValueSchema>;

/** Why a host did not do it. Closed. */
export const commandErrorCodeSchema = z.enum([
  /** The deadline had passed. */
  'expired',
  /** A command of this kind is running there. */
  'busy',
  /** The host serves no such deployment. */
  'unknown-deployment',
  /** It remembers no such row: it never answered it, or has forgotten it. */
  'unknown-decision',
  'failed',
]);
export type CommandErrorCode = z.infer<typeof commandErrorCodeSchema>;

export const commandOutcomeSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), value: commandValueSchema }),
  z.object({ ok: z.literal(false), code: commandErrorCodeSchema, message: detailSchema }),
]);
export type CommandOutcome = z.infer<typeof commandOutcomeSchema>;

/** Once for each command, on the link that brought it; a link that ends takes its commands with it. */
export const resultMessageSchema = z.object({
  kind: z.literal('result'),
  id: commandIdSchema,
  outcome: commandOutcomeSchema,
});
export type ResultMessage = z.infer<typeof resultMessageSchema>;
