import type { Guard } from '../../protocol/guard.ts';
import type { Labels } from '../../protocol/ids.ts';
import type { Lease } from '../../protocol/lease.ts';
import { MAX_PINNED } from '../../protocol/limits.ts';
import type { Monitoring } from '../../protocol/monitoring.ts';
import { type Residency, UNRESTRICTED } from '../../protocol/residency.ts';
import type { Serving } from '../../protocol/serving.ts';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Store, Transaction } from '../store/database.ts';
import {
  type DeploymentRow,
  findDeployment,
  insertDeployment,
  updateDeployment,
} from '../store/deployments.ts';
import { findVersion } from '../store/models.ts';
import { findLiveRollout } from '../store/rollouts.ts';
import { checkFeatureColumns } from './feature-columns.ts';
import { checkGuard } from './guarded.ts';
import { checkSteps } from './pipeline-steps.ts';
import { requireReleased } from './released.ts';

/** What is not given stays as it is; for a new deployment the defaults apply. */
export interface DeploymentRequest {
  readonly model: string;
  readonly version: number;
  readonly to?: Labels | undefined;
  readonly windowMs?: number | undefined;
  /** As a whole: what it does not name is left to tunings and hosts. */
  readonly serving?: Serving | undefined;
  /** Given, it also forgets (`{}`) or sets what tunings recommend. */
  readonly tuned?: Serving | undefined;
  /** Versions of the model, none twice and not the stable one. */
  readonly pinned?: readonly number[] | undefined;
  /** As a whole: what it does not name has its default. */
  readonly monitoring?: Monitoring | undefined;
  /** As a whole; {}: hosts take nothing back by themselves. */
  readonly guard?: Guard | undefined;
  /** As a whole; null: hosts may serve it for ever. */
  readonly lease?: Lease | null | undefined;
  /** As a whole. */
  readonly residency?: Residency | undefined;
}

/** Seconds to know, and few enough windows that a fleet's telemetry stays small. */
export const DEFAULT_WINDOW_MS = 10_000;

/**
 * Creates the deployment, or changes it on all its agents at once. Throws `ControlError`
 * 'not-found' (no such version) and 'conflict' (another model's deployment, a live rollout, or a pipeline without its steps).
 */
export async function putDeployment(
  store: Store,
  name: string,
  request: DeploymentRequest,
  actor: Actor,
  now: number,
): Promise<{ row: DeploymentRow; created: boolean }> {
  return store.write(async (tx) => {
    const version = await findVersion(tx, request.model, request.version);
    if (version === null) {
      throw new ControlError(
        'not-found',
        `there is no version ${request.model}@${request.version}; push it first`,
      );
    }
    requireReleased(version);
    await checkSteps(tx, name, version);
    await checkPinned(tx, request);
    const present = await findDeployment(tx, name);
    checkFeatureColumns(version, request.serving ?? present?.serving);
    checkGuard(version, request.guard ?? present?.guard);
    return present === null
      ? { row: await create(tx, name, request, actor, now), created: true }
      : { row: await change(tx, present, request, actor, now), created: false };
  });
}

async function checkPinned(tx: Transaction, request: DeploymentRequest): Promise<void> {
  const { model, version, pinned = [] } = request;
  if (pinned.length > MAX_PINNED) {
    const told = `pinned names ${pinned.length} versions: at most ${MAX_PINNED} stay loaded beside the stable one`;
    throw new ControlError('invalid', told);
  }
  for (const [at, each] of pinned.entries()) {
    if (pinned.indexOf(each) !== at) {
      throw new ControlError('invalid', `pinned names version ${each} twice; name it once`);
    }
    if (each === version) {
      const told = `pinned names version ${each}, which is the stable one: it is loaded anyway`;
      throw new ControlError('invalid', told);
    }
    const found = await findVersion(tx, model, each);
    if (found === null) {
      const told = `there is no version ${model}@${each} to pin; push it first`;
      throw new ControlError('not-found', told);
    }
    requireReleased(found);
  }
}

async function create(
  tx: Transaction,
  name: string,
  request: DeploymentRequest,
  actor: Actor,
  now: number,
): Promise<DeploymentRow> {
  const row: DeploymentRow = {
    name,
    model: request.model,
    version: request.version,
    previousVersion: null,
    selector: request.to ?? {},
    windowMs: request.windowMs ?? DEFAULT_WINDOW_MS,
    createdAt: now,
    updatedAt: now,
    serving: request.serving ?? {},
    tuned: request.tuned ?? {},
    pinned: [...(request.pinned ?? [])],
    monitoring: request.monitoring ?? {},
    guard: request.guard ?? {},
    lease: request.lease ?? null,
    residency: request.residency ?? UNRESTRICTED,
  };
  await insertDeployment(tx, row);
  const { model, version, windowMs, serving, pinned, monitoring, guard, lease, residency } = row;
  const policy = { serving, pinned, monitoring, guard, lease, residency };
  const detail = { model, version, to: row.selector, windowMs, ...policy };
  await record(tx, now, actor, 'deployment.created', `deployment:${name}`, detail);
  return row;
}

async function change(
  tx: Transaction,
  present: DeploymentRow,
  request: DeploymentRequest,
  actor: Actor,
  now: number,
): Promise<DeploymentRow> {
  const { name } = present;
  if (present.model !== request.model) {
    throw new ControlError(
      'conflict',
      `deployment "${name}" serves model "${present.model}"; clients of it expect that model's tensors`,
    );
  }
  const live = await findLiveRollout(tx, name);
  if (live !== null) {
    throw new ControlError(
      'conflict',
      `rollout ${live.id} of "${name}" is in progress; promote or abort it first`,
    );
  }
  const moved = present.version !== request.version;
  const row: DeploymentRow = {
    ...present,
    version: request.version,
    previousVersion: moved ? present.version : present.previousVersion,
    selector: request.to ?? present.selector,
    windowMs: request.windowMs ?? present.windowMs,
    updatedAt: now,
    serving: request.serving ?? present.serving,
    tuned: request.tuned ?? present.tuned,
    pinned: [...(request.pinned ?? present.pinned)],
    monitoring: request.monitoring ?? present.monitoring,
    guard: request.guard ?? present.guard,
    lease: request.lease === undefined ? present.lease : request.lease,
    residency: request.residency ?? present.residency,
  };
  const { name: _, createdAt: __, model: ___, ...changed } = row;
  await updateDeployment(tx, name, changed);
  const { updatedAt: ____, previousVersion, version: to, ...set } = changed;
  const detail = { from: present.version, to, ...set };
  await record(tx, now, actor, 'deployment.changed', `deployment:${name}`, detail);
  return row;
}
