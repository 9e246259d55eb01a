import { type Action, type Actor, record } from '../audit/record.ts';
import { type AlertKind, openAlert, resolveAlert } from '../store/alerts.ts';
import type { Transaction } from '../store/database.ts';
import { updateDeployment } from '../store/deployments.ts';
import type { RolloutEvent, RolloutStateKind } from './rollout-state.ts';
import type { StoredRollout } from './stored-rollout.ts';

/**
 * What a step does besides moving the state: the deployment's pointer, the record of who did it,
 * and the alert that tells people a version was taken back.
 */
export async function recordStep(
  tx: Transaction,
  before: StoredRollout,
  after: StoredRollout,
  event: RolloutEvent,
  actor: Actor,
): Promise<void> {
  await movePointer(tx, before, after, event.now);
  const { row, state, progress } = after;
  const note = (action: Action, detail: Record<string, unknown>) =>
    record(tx, event.now, actor, action, `rollout:${row.id}`, {
      deployment: row.deployment,
      from: row.fromVersion,
      to: row.toVersion,
      ...detail,
    });
  switch (state.kind) {
    case 'canary':
      return note('rollout.resumed', {});
    case 'paused':
      return note('rollout.paused', {});
    case 'held':
      return note('rollout.held', { reason: state.reason });
    case 'promoting':
      return note('rollout.promoted', { verdict: progress.verdict });
    case 'completed':
      return;
    case 'rolling-back': {
      const { cause, reason } = state;
      const failed = cause === 'gate' || cause === 'nack';
      const detail = { cause, reason, verdict: progress.verdict };
      await note(failed ? 'rollout.failed' : 'rollout.aborted', detail);
      if (failed) await raise(tx, after, event.now, detail);
      return;
    }
    case 'rolled-back':
    case 'aborted': {
      await resolve(tx, after, event.now);
      const { cause, reason } = state;
      const detail = { rollout: row.id, cause, reason, reverted: progress.reverted };
      return note('deployment.rolled-back', detail);
    }
  }
}

async function movePointer(
  tx: Transaction,
  before: StoredRollout,
  after: StoredRollout,
  now: number,
): Promise<void> {
  const { deployment, fromVersion, toVersion } = after.row;
  const move = (version: number, previousVersion: number) =>
    updateDeployment(tx, deployment, { version, previousVersion, updatedAt: now });
  const was: RolloutStateKind = before.state.kind;
  if (after.state.kind === 'promoting') await move(toVersion, fromVersion);
  if (after.state.kind === 'rolling-back' && was === 'promoting')
    await move(fromVersion, toVersion);
}

async function raise(
  tx: Transaction,
  rollout: StoredRollout,
  now: number,
  detail: Record<string, unknown>,
): Promise<void> {
  const { row, plan } = rollout;
  const kind = alertOf(rollout);
  const id = await openAlert(tx, {
    deployment: row.deployment,
    manifest: plan.candidate.manifest,
    kind,
    detail: { rollout: row.id, version: row.toVersion, ...detail },
    openedAt: now,
  });
  const subject = `deployment:${row.deployment}`;
  await record(tx, now, 'system', 'alert.raised', subject, { alert: id, kind, rollout: row.id });
}

/** The version no longer serves anywhere, so there is nothing left to be alarmed about. */
async function resolve(tx: Transaction, rollout: StoredRollout, now: number): Promise<void> {
  const { row, plan } = rollout;
  const { manifest } = plan.candidate;
  const alert = await resolveAlert(tx, row.deployment, manifest, alertOf(rollout), now);
  if (alert === null) return;
  const subject = `deployment:${row.deployment}`;
  await record(tx, now, 'system', 'alert.resolved', subject, { alert, rollout: row.id });
}

/** A refusal is an error: the version answered nothing there. */
function alertOf(rollout: StoredRollout): AlertKind {
  const kinds = rollout.progress.verdict?.kinds;
  const drifted = Array.isArray(kinds) && kinds.includes('prediction-drift');
  return drifted ? 'prediction-drift' : 'errors';
}
