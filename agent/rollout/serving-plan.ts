import type { DesiredState } from '../../protocol/desired.ts';
import type { RefusalCode } from '../../protocol/error.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { ReportedDeployment } from '../../protocol/report.ts';
import type { PlannedArm, PlannedDeployment, ServingPlan } from '../engine/messages.ts';

export interface RefusedVersion {
  readonly code: RefusalCode;
  readonly detail: string;
}

/** Whether a version may be had later: the network comes back, a disk is cleared. */
export function mayPass(code: RefusalCode): boolean {
  return code === 'artifact-unavailable' || code === 'disk-full';
}

/**
 * What to serve, given what is wanted, what this host refuses and what it serves now. Pure.
 *
 * A refused candidate leaves its traffic to the stable arm. A refused stable version leaves the deployment as it
 * is: what ran keeps running. A deployment that has nothing to run is left out, and answers 404.
 */
export function planServing(
  desired: DesiredState,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  current: ServingPlan | null,
): ServingPlan {
  const deployments: PlannedDeployment[] = [];
  for (const wanted of desired.deployments) {
    const stable = wanted.arms.find((arm) => arm.arm === 'stable');
    const usable = wanted.arms.filter((arm) => !refused.has(arm.manifest));
    const stableRefused = stable !== undefined && refused.has(stable.manifest);
    const previous = current?.deployments.find((d) => d.name === wanted.name);
    if (stableRefused || usable.length === 0) {
      // Only a stable arm may stay: a candidate without its rollout would serve for ever.
      const kept = previous?.arms.filter(
        (arm) => arm.arm === 'stable' && !refused.has(arm.manifest),
      );
      if (kept !== undefined && kept.length > 0) {
        deployments.push({ name: wanted.name, windowMs: wanted.windowMs, arms: wholeShare(kept) });
      }
      continue;
    }
    const arms = usable.map(({ arm, version, manifest, share }) => ({
      arm,
      version,
      manifest,
      share,
    }));
    deployments.push({ name: wanted.name, windowMs: wanted.windowMs, arms: wholeShare(arms) });
  }
  return { agent: desired.agent, generation: desired.generation, deployments };
}

/** Shares that add up to 1 again after an arm fell out: the first arm takes what is missing. */
function wholeShare(arms: readonly PlannedArm[]): PlannedArm[] {
  const sum = arms.reduce((total, arm) => total + arm.share, 0);
  return arms.map((arm, at) => (at === 0 ? { ...arm, share: arm.share + 1 - sum } : arm));
}

/** Every version a desired state names, once. */
export function versionsOf(desired: DesiredState): Digest[] {
  return [...new Set(desired.deployments.flatMap((d) => d.arms.map((arm) => arm.manifest)))];
}

/** What a report says of each wanted arm, and of what is served in its place. */
export function reportDeployments(
  desired: DesiredState,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  serving: ServingPlan | null,
): ReportedDeployment[] {
  return desired.deployments.map((wanted) => {
    const served = serving?.deployments.find((d) => d.name === wanted.name)?.arms ?? [];
    const arms: ReportedDeployment['arms'] = wanted.arms.map(({ arm, version, manifest }) => {
      const refusal = refused.get(manifest);
      // A NACK takes a rollout back for good, and a download that broke off says nothing against the version.
      if (refusal !== undefined && refusal.code !== 'artifact-unavailable') {
        return { arm, version, manifest, state: 'refused', ...refusal };
      }
      const live = served.find((each) => each.manifest === manifest && each.arm === arm);
      return live === undefined
        ? { arm, version, manifest, state: 'fetching' }
        : { arm, version, manifest, state: 'serving', share: live.share };
    });
    for (const live of served) {
      if (wanted.arms.some((arm) => arm.manifest === live.manifest && arm.arm === live.arm))
        continue;
      arms.push({ ...live, state: 'serving' });
    }
    return { name: wanted.name, arms };
  });
}
