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

/** What a host shall run as it is signed: the same object for all to whom it is the same. */
export interface DocumentContent {
  /** Changes when a host should do something else; generation and dates are no part of it. */
  readonly hash: string;
  readonly deployments: string;
  readonly names: readonly string[];
  readonly manifests: readonly Digest[];
}

/** What was stored of `contentOf`: parsed when it was made, and by nobody else since. */
export function readContent(deployments: string): DocumentContent {
  return contentOf(JSON.parse(deployments) as DesiredDeployment[]);
}

const encoder = new TextEncoder();

/** Part of every hash, so that a build which lays out a document in another way gives out new ones. */
const LAYOUT = 'driftline/document/1\n';

export function contentOf(deployments: readonly DesiredDeployment[]): DocumentContent {
  const json = JSON.stringify(deployments);
  return {
    hash: createHash('sha256').update(LAYOUT).update(json).digest('hex'),
    deployments: json,
    names: deployments.map(({ name }) => name),
    manifests: [...new Set(deployments.flatMap(({ arms }) => arms.map((each) => each.manifest)))],
  };
}

/**
 * The bytes of a document: always the same ones for the same values, whenever it is signed. Hosts take two documents of one
 * generation with different bytes for proof that the key lies (`Equivocation`). What changes here changes `LAYOUT`.
 *
 * @param deployments JSON, as `contentOf` makes it
 */
export function documentBytes(stamp: DocumentStamp, deployments: string): Uint8Array {
  return encoder.encode(documentText(stamp, deployments));
}

/** Of many documents, one behind the other in one piece of memory: a piece for each would be scattered and kept by the thousand. */
export function documentsBytes(
  documents: readonly { readonly stamp: DocumentStamp; readonly deployments: string }[],
): Uint8Array[] {
  const texts = documents.map(({ stamp, deployments }) => documentText(stamp, deployments));
  const all = encoder.encode(texts.join(''));
  let end = 0;
  return texts.map((text) => {
    const begin = end;
    end += Buffer.byteLength(text);
    return all.subarray(begin, end);
  });
}

function documentText(
  { agentId, generation, issuedAt, expiresAt }: DocumentStamp,
  deployments: string,
): string {
  const times = `"issuedAt":${issuedAt},"expiresAt":${expiresAt}`;
  const head = `{"agent":${JSON.stringify(agentId)},"generation":${generation},${times}`;
  return `${head},"deployments":${deployments}}`;
}

export interface DocumentStamp {
  readonly agentId: AgentId;
  readonly generation: number;
  readonly issuedAt: number;
  readonly expiresAt: number;
}
