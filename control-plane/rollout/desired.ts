import { createHash } from 'node:crypto';
import type { DesiredArm, DesiredDeployment } from '../../protocol/desired.ts';
import { type Guard, isGuarded } from '../../protocol/guard.ts';
import type { AgentId, Digest, Labels } from '../../protocol/ids.ts';
import type { Lease } from '../../protocol/lease.ts';
import type { Monitoring } from '../../protocol/monitoring.ts';
import type { Residency, WithheldPart } from '../../protocol/residency.ts';
import type { Serving } from '../../protocol/serving.ts';
import { PINNED_SINCE } from '../../protocol/version.ts';
import { goesTo, type Place } from '../residency/residency.ts';
import { type Cohort, inCohort } from './cohort.ts';
import { offersCandidate, type RolloutStateKind } from './rollout-state.ts';

/** A version as desired state names it. */
export interface VersionRef {
  readonly model: string;
  readonly version: number;
  readonly manifest: Digest;
}

export interface DeploymentPlan {
  readonly name: string;
  readonly windowMs: number;
  /** Hosts it goes to; an empty selector means all. */
  readonly to: Labels;
  readonly residency: Residency;
  /** What hosts keep to themselves. */
  readonly withheld: readonly WithheldPart[];
  readonly stable: VersionRef;
  readonly serving: Serving;
  readonly monitoring: Monitoring;
  /** For requests that name them. One that is stable or candidate on a host is no pinned arm there. */
  readonly pinned: readonly VersionRef[];
  readonly guard: Guard;
  /** Null: hosts may serve it for ever. */
  readonly lease: Lease | null;
  /** When somebody last decided what it serves and how. */
  readonly decidedAtMs: number;
}

export interface RolloutPlan {
  readonly id: string;
  readonly deployment: string;
  readonly state: RolloutStateKind;
  readonly candidate: VersionRef;
  /** Part of a canary host's traffic that the candidate answers. */
  readonly share: number;
  readonly cohort: Cohort;
  readonly startedAtMs: number;
}

export interface AgentPlan {
  readonly id: AgentId;
  readonly labels: Labels;
  readonly jurisdiction: Place;
  readonly enrolledAtMs: number;
  /** The wire it speaks. */
  readonly protocol: number;
}

/**
 * Everything one host should run, in the order of names. On a canary host the stable version stays
 * loaded even at share 0, so that taking the candidate back is a pointer swap and not a download.
 */
export function desiredFor(
  agent: AgentPlan,
  deployments: readonly DeploymentPlan[],
  rollouts: readonly RolloutPlan[],
): DesiredDeployment[] {
  return deployments
    .filter((deployment) => goesTo(deployment, agent))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((deployment) => {
      const rollout = rollouts.find(
        (candidate) =>
          candidate.deployment === deployment.name &&
          offersCandidate(candidate.state) &&
          inCohort(candidate.id, candidate.cohort, agent),
      );
      const shared = armsOf(deployment.stable, rollout);
      const pinned = agent.protocol < PINNED_SINCE ? [] : pinnedArms(deployment, shared);
      const { name, windowMs, serving, monitoring, lease, withheld } = deployment;
      const arms = decided([...shared, ...pinned], deployment, rollout);
      const guard = isGuarded(deployment.guard) ? { guard: deployment.guard } : {};
      return {
        ...{ name, windowMs, serving, monitoring, ...guard },
        ...(lease === null ? {} : { lease }),
        ...(withheld.length === 0 ? {} : { withheld: [...withheld] }),
        arms,
      };
    });
}

/** A host that took an arm back gives it back for a newer decision only; without a guard nothing is taken back. */
function decided(
  arms: readonly DesiredArm[],
  { guard, decidedAtMs }: DeploymentPlan,
  rollout: RolloutPlan | undefined,
): DesiredArm[] {
  if (!isGuarded(guard)) return [...arms];
  return arms.map((each) => {
    const isOffered = each.arm === 'candidate' && rollout !== undefined;
    return { ...each, decidedAt: isOffered ? rollout.startedAtMs : decidedAtMs };
  });
}

function armsOf(stable: VersionRef, rollout: RolloutPlan | undefined): DesiredArm[] {
  if (rollout === undefined) return [arm('stable', stable, 1)];
  return [
    arm('stable', stable, 1 - rollout.share),
    arm('candidate', rollout.candidate, rollout.share),
  ];
}

function pinnedArms({ pinned }: DeploymentPlan, shared: readonly DesiredArm[]): DesiredArm[] {
  const there = new Set(shared.map(({ manifest }) => manifest));
  return pinned
    .filter(({ manifest }) => !there.has(manifest))
    .map((version) => arm('pinned', version, 0));
}

function arm(name: DesiredArm['arm'], version: VersionRef, share: number): DesiredArm {
  const { model, version: number, manifest } = version;
  return { arm: name, model, version: number, manifest, share };
}

/** What changes when a host should do something else; generation and dates are no part of it. */
export function contentHash(deployments: readonly DesiredDeployment[]): string {
  return createHash('sha256').update(JSON.stringify(deployments)).digest('hex');
}
