import { z } from 'zod';
import {
  agentIdSchema,
  digestSchema,
  labelsSchema,
  nameSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';
import { residencySchema, UNRESTRICTED } from '../../protocol/residency.ts';
import { servingSchema } from '../../protocol/serving.ts';
import { describe } from '../../protocol/wire.ts';
import { ControlError } from '../error.ts';
import type { RolloutView } from '../http/services.ts';
import type { RolloutRow } from '../store/rollouts.ts';
import type { RolloutPlan } from './desired.ts';
import type { RolloutState } from './rollout-state.ts';

const versionRefSchema = z.object({
  model: nameSchema,
  version: versionNumberSchema,
  manifest: digestSchema,
});

const cohortSchema = z.object({
  rule: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('count'), agents: z.int() }),
    z.object({ kind: z.literal('labels'), labels: labelsSchema }),
  ]),
  decidedAtMs: z.number(),
  members: z.array(agentIdSchema),
  threshold: z.number(),
});

/** What was decided when a rollout began; never changes. */
export const rolloutPlanSchema = z.object({
  stable: versionRefSchema,
  candidate: versionRefSchema,
  /** The deployment's selector when the rollout began. */
  to: labelsSchema,
  /** Likewise; rollouts of older builds know of none. */
  residency: residencySchema.default(UNRESTRICTED),
  share: z.number(),
  minRows: z.int(),
  observeMs: z.int(),
  deadlineMs: z.int(),
  onDeadline: z.enum(['hold', 'abort']),
  maxPsi: z.number(),
  windowMs: z.int(),
  /** How both arms were executed when it began; absent in rollouts of older builds. */
  serving: servingSchema.default({}),
  cohort: cohortSchema,
});
export type StoredPlan = z.infer<typeof rolloutPlanSchema>;

const begun = { startedAtMs: z.number(), pausedForMs: z.number() };
const takenBack = {
  ...begun,
  cause: z.enum(['gate', 'nack', 'operator', 'deadline']),
  reason: z.string(),
  requestedAtMs: z.number(),
};

const stateSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('canary'), ...begun }),
  z.object({ kind: z.literal('paused'), ...begun, pausedAtMs: z.number() }),
  z.object({ kind: z.literal('held'), ...begun, heldAtMs: z.number(), reason: z.string() }),
  z.object({ kind: z.literal('promoting'), ...begun, promotedAtMs: z.number() }),
  z.object({ kind: z.literal('completed'), ...begun, completedAtMs: z.number() }),
  z.object({ kind: z.literal('rolling-back'), ...takenBack }),
  z.object({ kind: z.literal('rolled-back'), ...takenBack, finishedAtMs: z.number() }),
  z.object({ kind: z.literal('aborted'), ...takenBack, finishedAtMs: z.number() }),
]) satisfies z.ZodType<RolloutState>;

/** What people want to see beside the state; nothing is decided by it after it was written. */
export const progressSchema = z.object({
  /** Hosts that have applied this generation do what the state asks. Null before the first change. */
  generation: z.int().nullable(),
  /** The gate's latest word, with what it measured. */
  verdict: z.record(z.string(), z.unknown()).nullable(),
  /** Time-to-revert of each canary host; null: it has not confirmed. */
  reverted: z.array(z.object({ agent: agentIdSchema, afterMs: z.number().nullable() })),
});
export type Progress = z.infer<typeof progressSchema>;

export const NO_PROGRESS: Progress = { generation: null, verdict: null, reverted: [] };

/** A rollout as this build understands it. */
export interface StoredRollout {
  readonly row: RolloutRow;
  readonly plan: StoredPlan;
  readonly state: RolloutState;
  readonly progress: Progress;
}

/** @throws ControlError 'unavailable' when another build wrote what this one can't read */
export function parseRollout(row: RolloutRow): StoredRollout {
  const plan = rolloutPlanSchema.safeParse(row.plan);
  const state = stateSchema.safeParse(row.state);
  const progress = progressSchema.safeParse(row.state);
  const error = plan.error ?? state.error ?? progress.error;
  if (!plan.success || !state.success || !progress.success) {
    const why = error === undefined ? '' : describe(error);
    throw new ControlError('unavailable', `rollout ${row.id} is not readable: ${why}`);
  }
  return { row, plan: plan.data, state: state.data, progress: progress.data };
}

/** The `state` column: the state's own fields, and the progress beside them. */
export function stateColumn(state: RolloutState, progress: Progress): RolloutView['state'] {
  return { ...state, ...progress };
}

export function planOf(rollout: StoredRollout): RolloutPlan {
  const { row, plan, state } = rollout;
  return {
    id: row.id,
    deployment: row.deployment,
    state: state.kind,
    candidate: plan.candidate,
    share: plan.share,
    cohort: plan.cohort,
    startedAtMs: row.createdAt,
  };
}

export function viewOf(rollout: StoredRollout): RolloutView {
  const { row, plan, state, progress } = rollout;
  return {
    id: row.id,
    deployment: row.deployment,
    model: row.model,
    from: row.fromVersion,
    to: row.toVersion,
    plan,
    state: stateColumn(state, progress),
    createdBy: row.createdBy,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    finishedAt: row.finishedAt,
  };
}
