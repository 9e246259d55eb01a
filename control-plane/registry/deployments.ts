import type { Labels } from '../../protocol/ids.ts';
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

/** What is not given stays as it is; for a new deployment the defaults apply. */
export interface DeploymentRequest {
  readonly model: string;
  readonly version: number;
  readonly to?: Labels | undefined;
  readonly windowMs?: number | undefined;
}

/** Seconds to know, and few enough windows that a fleet's telemetry stays small. */
export const DEFAULT_WINDOW_MS = 10_000;

/**
 * Creates the deployment, or changes it on all its agents at once. Throws `ControlError`
 * 'not-found' (no such version) and 'conflict' (another model's deployment, or a live rollout).
 */
export async function putDeployment(
  store: Store,
  name: string,
  request: DeploymentRequest,
  actor: Actor,
  now: number,
): Promise<{ row: DeploymentRow; created: boolean }> {
  return store.write(async (tx) => {
    if ((await findVersion(tx, request.model, request.version)) === null) {
      throw new ControlError(
        'not-found',
        `there is no version ${request.model}@${request.version}; push it first`,
      );
    }
    const present = await findDeployment(tx, name);
    return present === null
      ? { row: await create(tx, name, request, actor, now), created: true }
      : { row: await change(tx, present, request, actor, now), created: false };
  });
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
  };
  await insertDeployment(tx, row);
  const { model, version, selector, windowMs } = row;
  const detail = { model, version, to: selector, windowMs };
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
  };
  const { version, previousVersion, selector, windowMs, updatedAt } = row;
  const changed = { version, previousVersion, selector, windowMs, updatedAt };
  await updateDeployment(tx, name, changed);
  const detail = { from: present.version, to: version, selector, windowMs };
  await record(tx, now, actor, 'deployment.changed', `deployment:${name}`, detail);
  return row;
}
