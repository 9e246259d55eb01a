import { z } from 'zod';
import { MAX_LABELS, MAX_NAME_LENGTH } from './limits.ts';

/** `sha256:` and 64 lower-case hex digits: how every file and every version is named. */
export const digestSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'a digest is "sha256:" followed by 64 lower-case hex digits');
export type Digest = z.infer<typeof digestSchema>;

/** Names that stand in URLs and on command lines. Never a path: no slash, no leading dot. */
export const nameSchema = z
  .string()
  .max(MAX_NAME_LENGTH)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    `a name starts with a letter or digit and holds letters, digits, ".", "_" and "-"`,
  );

/** A model column. Wider than a name, because data scientists' columns hold spaces and brackets. */
export const featureNameSchema = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  .regex(/^[^\u0000-\u001f]*$/, 'a feature name holds no control characters');

export const agentIdSchema = z.string().regex(/^agt_[0-9a-f]{24}$/);
export type AgentId = z.infer<typeof agentIdSchema>;

/** One start of a supervisor. Sequence numbers count within a boot. */
export const bootIdSchema = z.string().regex(/^[0-9a-f]{16}$/);
export type BootId = z.infer<typeof bootIdSchema>;

/** The name OIP calls `model_version`: the number of a version, or the pin of one. */
export const versionNumberSchema = z.int().min(1).max(1_000_000_000);

export const labelsSchema = z
  .record(nameSchema, z.string().max(MAX_NAME_LENGTH))
  .refine((labels) => Object.keys(labels).length <= MAX_LABELS, {
    message: `at most ${MAX_LABELS} labels`,
  });
export type Labels = z.infer<typeof labelsSchema>;

/**
 * Labels decide what a host gets, so hosts don't decide labels: those that one gives itself stand under this prefix,
 * and those that its join token or an operator gave stand without it.
 */
export const OWN_LABEL_PREFIX = 'self.';

/** What a version is to its deployment. `pinned` ones get no share: only requests that name their version reach them. */
export const armSchema = z.enum(['stable', 'candidate', 'pinned']);
export type Arm = z.infer<typeof armSchema>;
/** The arms that share a deployment's traffic, and that a rollout compares. */
export type SharedArm = Exclude<Arm, 'pinned'>;

/** Milliseconds since the Unix epoch. */
export const timestampSchema = z.number().int().min(0).max(8.64e15);
