import { randomBytes } from 'node:crypto';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { RollbackRequest, RolloutRequest } from '../http/services.ts';
import { checkFeatureColumns } from '../registry/feature-columns.ts';
import { checkGuard } from '../registry/guarded.ts';
import { checkSteps } from '../registry/pipeline-steps.ts';
import { requireReleased } from '../registry/released.ts';
import { goesTo, type Host } from '../residency/residency.ts';
import type { Transaction } from '../store/database.ts';
import {
  type DeploymentRow,
  findDeployment,
  servingOf,
  targetOf,
  updateDeployment,
} from '../store/deployments.ts';
import { findVersion } from '../store/models.ts';
import { forgetRefusals } from '../store/reports.ts';
import { findLiveRollout, findRollout, insertRollout, updateRollout } from '../store/rollouts.ts';
import { type CohortAgent, decideCohort } from './cohort.ts';
import type { VersionRef } from './desired.ts';
import { recordStep } from './record-step.ts';
import {
  beginRollout,
  isEnded,
  offersCandidate,
  type RolloutEvent,
  stepRollout,
} from './rollout-state.ts';
import {
  NO_PROGRESS,
  type Progress,
  parseRollout,
  type StoredPlan,
  type StoredRollout,
  stateColumn,
} from './stored-rollout.ts';
import type { GateSummary } from './summary.ts';

/** What rollouts do to the database. Each runs inside the transaction of its caller. */

/** Begins a rollout and decides its canary among `fleet`. */
export async function openRollout(
  tx: Transaction,
  name: string,
  request: RolloutRequest,
  fleet: readonly (CohortAgent & Host)[],
  actor: Actor,
  now: number,
): Promise<StoredRollout> {
  const deployment = await deploymentOf(tx, name);
  const running = await findLiveRollout(tx, name);
  if (running !== null) {
    const { kind } = parseRollout(running).state;
    throw new ControlError(
      'conflict',
      `rollout ${running.id} of "${name}" is ${kind}: end it first`,
    );
  }
  const { model, version: from } = deployment;
  if (request.version === from) {
    throw new ControlError('conflict', `"${name}" answers with ${model}@${from} already`);
  }
  const stable = await versionOf(tx, model, from);
  const candidate = await versionOf(tx, model, request.version);
  const pushed = await findVersion(tx, model, request.version);
  if (pushed !== null) {
    requireReleased(pushed);
    await checkSteps(tx, name, pushed);
    checkFeatureColumns(pushed, deployment.serving);
    checkGuard(pushed, deployment.guard);
  }
  await forgetRefusals(tx, name, candidate.manifest);
  const id = `rol_${randomBytes(8).toString('hex')}`;
  const plan = planFor(id, request, deployment, stable, candidate, fleet, now);
  const state = beginRollout(now);
  const row = {
    id,
    deployment: name,
    model,
    fromVersion: from,
    toVersion: request.version,
    plan,
    state: stateColumn(state, NO_PROGRESS),
    createdBy: actor,
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  };
  await insertRollout(tx, row);
  const { members } = plan.cohort;
  const detail = {
    deployment: name,
    from,
    to: request.version,
    canary: members,
    share: plan.share,
  };
  await record(tx, now, actor, 'rollout.started', `rollout:${id}`, detail);
  return { row, plan, state, progress: NO_PROGRESS };
}

function planFor(
  id: string,
  request: RolloutRequest,
  deployment: DeploymentRow,
  stable: VersionRef,
  candidate: VersionRef,
  fleet: readonly (CohortAgent & Host)[],
  now: number,
): StoredPlan {
  const { canary, version: _, ...limits } = request;
  const { windowMs } = deployment;
  const target = targetOf(deployment);
  const rule =
    'agents' in canary
      ? ({ kind: 'count', agents: canary.agents } as const)
      : ({ kind: 'labels', labels: canary.labels } as const);
  const targets = fleet.filter((agent) => goesTo(target, agent));
  const cohort = decideCohort(id, rule, targets, now);
  const serving = servingOf(deployment);
  return {
    ...limits,
    ...target,
    stable,
    candidate,
    share: canary.share,
    windowMs,
    serving,
    cohort,
  };
}

/** What comes with an event besides the event. */
export interface StepContext {
  readonly actor: Actor;
  readonly summary: GateSummary | null;
  /** Who has confirmed, for the last step of a rollback. */
  readonly reverted: (rollout: StoredRollout) => Progress['reverted'];
}

/**
 * One event: the state, what follows from it and the record of it.
 *
 * @throws ControlError 'conflict' when the event makes no sense in the rollout's state
 */
export async function takeStep(
  tx: Transaction,
  before: StoredRollout,
  event: RolloutEvent,
  context: StepContext,
): Promise<StoredRollout> {
  const { row, state: from } = before;
  // A rollback of a deployment whose rollout is on its way back already is no mistake.
  if (event.kind === 'abort' && from.kind === 'rolling-back') return before;
  const state = stepRollout(from, event);
  if (state === null) {
    const told = `rollout ${row.id} is ${from.kind}: it can't be told "${event.kind}"`;
    throw new ControlError('conflict', told);
  }
  if (state === from) return before;
  const progress: Progress = {
    // The generation of what is undone says nothing of the undoing.
    generation: isEnded(state.kind) ? before.progress.generation : null,
    verdict: context.summary === null ? before.progress.verdict : { ...context.summary },
    reverted: context.reverted(before),
  };
  const after: StoredRollout = { ...before, state, progress };
  await recordStep(tx, before, after, event, context.actor);
  return writeRollout(tx, after, event.now);
}

/** Keeps which generation carries a promotion or a rollback to the hosts. */
export async function noteGeneration(
  tx: Transaction,
  rollout: StoredRollout,
  generation: number,
): Promise<StoredRollout> {
  if (rollout.progress.generation !== null || offersCandidate(rollout.state.kind)) return rollout;
  const progress = { ...rollout.progress, generation };
  return writeRollout(tx, { ...rollout, progress }, rollout.row.updatedAt);
}

/** Keeps the gate's latest word; null when the rollout has ended meanwhile. */
export async function noteVerdict(
  tx: Transaction,
  id: string,
  summary: GateSummary,
): Promise<StoredRollout | null> {
  const row = await findRollout(tx, id);
  if (row === null || row.finishedAt !== null) return null;
  const rollout = parseRollout(row);
  const progress = { ...rollout.progress, verdict: { ...summary } };
  return writeRollout(tx, { ...rollout, progress }, row.updatedAt);
}

async function writeRollout(
  tx: Transaction,
  rollout: StoredRollout,
  now: number,
): Promise<StoredRollout> {
  const { state, progress } = rollout;
  const finishedAt = isEnded(state.kind) ? now : null;
  const change = { state: stateColumn(state, progress), updatedAt: now, finishedAt };
  await updateRollout(tx, rollout.row.id, change);
  return { ...rollout, row: { ...rollout.row, ...change } };
}

export interface PointedBack {
  readonly deployment: DeploymentRow;
  readonly from: number;
  readonly to: number;
}

/**
 * Points a deployment at an older version, unless ending its rollout was all that it took.
 *
 * @param before the deployment before its rollout was ended
 * @param ended the rollout that was ended for this, if one was live
 */
export async function pointBack(
  tx: Transaction,
  before: DeploymentRow,
  ended: StoredRollout | null,
  request: RollbackRequest,
  actor: Actor,
  now: number,
): Promise<PointedBack> {
  const deployment = await deploymentOf(tx, before.name);
  const { name, model, version } = deployment;
  const from = ended === null ? before.version : ended.row.toVersion;
  const to = request.to ?? (ended === null ? before.previousVersion : version);
  if (to === null) {
    throw new ControlError(
      'conflict',
      `there is nothing before ${model}@${from} to go back to; name a version with "to"`,
    );
  }
  if (to === from) {
    throw new ControlError('conflict', `"${name}" answers with ${model}@${to} already`);
  }
  const target = await findVersion(tx, model, to);
  if (target !== null) requireReleased(target);
  const { manifest } = await versionOf(tx, model, to);
  if (to !== version) {
    await forgetRefusals(tx, name, manifest);
    // Not `version`: pressing the button twice must never bring back what was just taken away.
    await updateDeployment(tx, name, { version: to, previousVersion: null, updatedAt: now });
  }
  const detail = { from, to, reason: request.reason };
  await record(tx, now, actor, 'deployment.rolled-back', `deployment:${name}`, detail);
  return { deployment, from, to };
}

export async function deploymentOf(tx: Transaction, name: string): Promise<DeploymentRow> {
  const row = await findDeployment(tx, name);
  if (row === null) throw new ControlError('not-found', `no deployment "${name}"`);
  return row;
}

async function versionOf(tx: Transaction, model: string, version: number): Promise<VersionRef> {
  const row = await findVersion(tx, model, version);
  if (row === null) throw new ControlError('not-found', `no version ${model}@${version}`);
  return { model, version, manifest: row.manifest };
}
