import { createHash } from 'node:crypto';
import type { DesiredArm, DesiredDeployment } from '../../protocol/desired.ts';
import type { AgentId, Digest, Labels } from '../../protocol/ids.ts';
import { type Cohort, inCohort, matchesLabels } from './cohort.ts';
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
  readonly stable: VersionRef;
}

export interface RolloutPlan {
  readonly id: string;
  readonly deployment: string;
  readonly state: RolloutStateKind;
  readonly candidate: VersionRef;
  /** Part of a canary host's traffic that the candidate answers. */
  readonly share: number;
  readonly cohort: Cohort;
}

export interface AgentPlan {
  readonly id: AgentId;
  readonly labels: Labels;
  readonly enrolledAtMs: number;
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
    .filter((deployment) => matchesLabels(agent.labels, deployment.to))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((deployment) => {
      const rollout = rollouts.find(
        (candidate) =>
          candidate.deployment === deployment.name &&
          offersCandidate(candidate.state) &&
          inCohort(candidate.id, candidate.cohort, agent),
      );
      return {
        name: deployment.name,
        windowMs: deployment.windowMs,
        arms: armsOf(deployment.stable, rollout),
      };
    });
}

function armsOf(stable: VersionRef, rollout: RolloutPlan | undefined): DesiredArm[] {
  if (rollout === undefined) return [arm('stable', stable, 1)];
  return [
    arm('stable', stable, 1 - rollout.share),
    arm('candidate', rollout.candidate, rollout.share),
  ];
}

function arm(name: DesiredArm['arm'], version: VersionRef, share: number): DesiredArm {
  const { model, version: number, manifest } = version;
  return { arm: name, model, version: number, manifest, share };
}

/** What changes when a host should do something else; generation and dates are no part of it. */
export function contentHash(deployments: readonly DesiredDeployment[]): string {
  return createHash('sha256').update(JSON.stringify(deployments)).digest('hex');
}
