import type { AgentId } from '../../protocol/ids.ts';
import type { Lease } from '../../protocol/lease.ts';
import { ControlError } from '../error.ts';
import { type Place, withheldFrom } from '../residency/residency.ts';
import type { Reader } from '../store/database.ts';
import { allDeployments, type DeploymentRow, servingOf, targetOf } from '../store/deployments.ts';
import type { HostInService } from '../store/desired.ts';
import { findVersion } from '../store/models.ts';
import { allRefusals } from '../store/reports.ts';
import { liveRollouts } from '../store/rollouts.ts';
import { inCohort } from './cohort.ts';
import {
  contentOf,
  type DeploymentPlan,
  type DocumentContent,
  desiredFor,
  type RolloutPlan,
  type VersionRef,
} from './desired.ts';
import { offersCandidate } from './rollout-state.ts';
import { parseRollout, planOf } from './stored-rollout.ts';

/** What the database says that hosts shall run. */
export interface FleetPlan {
  /** Null: no deployment has a lease. */
  readonly shortestLeaseMs: number | null;
  contentFor(host: HostInService): DocumentContent;
}

export async function fleetPlan(db: Reader, place: Place): Promise<FleetPlan> {
  const deployments = await deploymentPlans(db, place);
  const rollouts = (await liveRollouts(db)).map((row) => planOf(parseRollout(row)));
  const refused = new Set((await allRefusals(db)).map(refusalKey));
  const offering = rollouts.filter(({ state }) => offersCandidate(state));
  // Few kinds of host, and many of each.
  const made = new Map<string, DocumentContent>();
  return {
    shortestLeaseMs: shortestOf(deployments.map(({ lease }) => lease)),
    contentFor: (host) => {
      const { id, labels, labelsText, jurisdiction, joinedAt: enrolledAtMs, protocol } = host;
      const offered = offering.filter(
        (rollout) =>
          inCohort(rollout.id, rollout.cohort, { id, labels, enrolledAtMs }) &&
          !isRefused(refused, rollout, id),
      );
      const ids = offered.map((rollout) => rollout.id).join(' ');
      const kind = `${protocol}\n${jurisdiction ?? ''}\n${ids}\n${labelsText}`;
      const known = made.get(kind);
      if (known !== undefined) return known;
      const agent = { id, labels, jurisdiction, enrolledAtMs, protocol };
      const content = contentOf(desiredFor(agent, deployments, offered));
      made.set(kind, content);
      return content;
    },
  };
}

/** A candidate that a host refused is not offered to it again as it stands. */
function isRefused(refused: ReadonlySet<string>, rollout: RolloutPlan, agentId: AgentId): boolean {
  const { deployment, candidate } = rollout;
  return refused.has(refusalKey({ agentId, deployment, manifest: candidate.manifest }));
}

function refusalKey(refusal: { agentId: string; deployment: string; manifest: string }): string {
  return `${refusal.agentId} ${refusal.deployment} ${refusal.manifest}`;
}

async function deploymentPlans(db: Reader, place: Place): Promise<DeploymentPlan[]> {
  const plans: DeploymentPlan[] = [];
  for (const row of await allDeployments(db)) {
    const { name, windowMs, monitoring, guard, lease, updatedAt } = row;
    const stable = await versionOf(db, row, row.version);
    const pinned: VersionRef[] = [];
    for (const version of row.pinned) pinned.push(await versionOf(db, row, version));
    const withheld = withheldFrom(row.residency, place);
    const policy = {
      ...targetOf(row),
      withheld,
      monitoring,
      guard,
      lease,
      serving: servingOf(row),
    };
    plans.push({ name, windowMs, stable, pinned, ...policy, decidedAtMs: updatedAt });
  }
  return plans;
}

export function shortestOf(leases: readonly (Lease | null)[]): number | null {
  const durations = leases.flatMap((lease) => lease?.durationMs ?? []);
  return durations.length === 0 ? null : Math.min(...durations);
}

async function versionOf(db: Reader, row: DeploymentRow, version: number): Promise<VersionRef> {
  const { name, model } = row;
  const found = await findVersion(db, model, version);
  if (found === null) {
    throw new ControlError('unavailable', `${name} points at ${model}@${version}, which is gone`);
  }
  return { model, version, manifest: found.manifest };
}
